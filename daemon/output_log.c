// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The last bytes of a program's output: a ring in a file.
 *
 * Killed between read(2), which has taken bytes from a pipe, and the store that says so, an
 * agent would lose them. splice(2) moves them from the pipe to the file, and stores the
 * file's new offset where it is told to, in one system call, which SIGKILL does not cut in
 * two. So @at is in the memory that the next agent has, and it alone says what is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "output_log.h"

#define SCRATCH		16384

/* Bytes that all of them have, and may have. */
static uint64_t total;
static uint64_t total_max = UINT64_MAX;

void output_log_limit(uint64_t max)
{
	total_max = max;
}

static uint64_t page_size(void)
{
	static uint64_t size;

	if (!size)
		size = sysconf(_SC_PAGESIZE);
	return size;
}

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + page_size() - 1) & ~(page_size() - 1);
}

/* Bytes since the ring was begun: as long as it has not wrapped, it holds no more. */
static uint64_t written(const struct output_mark *mark)
{
	return mark->end - mark->origin;
}

/* Bytes that there may be at a time. */
static uint64_t kept(const struct output_mark *mark)
{
	return mark->ring < mark->max ? mark->ring : mark->max;
}

/* Stores in the order in which they are written here: who is killed has made the first ones. */
static void store(uint64_t *to, uint64_t value)
{
	kring_store_release(to, value);
}

static void give_back(struct output_log *log)
{
	if (log->held && log->file >= 0)
		fallocate(log->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, log->base,
			  OUTPUT_LOG_MAX);
	store(&log->mark->at, 0);
	total -= log->held;
	log->held = 0;
}

/* From now on nothing is there. */
static void empty(struct output_log *log)
{
	store(&log->mark->ring, 0);
	store(&log->mark->start, log->mark->end);
	give_back(log);
}

void output_log_init(struct output_log *log, struct output_mark *mark, int file, uint64_t base)
{
	log->mark = mark;
	log->file = file;
	log->base = base;
	log->held = 0;
}

/*
 * The kernel may have moved bytes of which @end does not know: fewer than the ring has, so
 * @at tells how many.
 */
bool output_log_recover(struct output_log *log)
{
	struct output_mark *mark = log->mark;
	uint64_t at = mark->at - log->base, ring = mark->ring;

	if (mark->start > mark->end || mark->taken > mark->end || mark->origin > mark->end ||
	    mark->max > OUTPUT_LOG_MAX || ring > OUTPUT_LOG_MAX || (ring && at > ring) ||
	    log->file < 0) {
		memset(mark, 0, sizeof(*mark));
		return false;
	}
	if (!ring)
		return true;
	mark->end += (at + ring - written(mark) % ring) % ring;
	/* More than there may be, perhaps: they are there already. */
	log->held = page_up(written(mark));
	if (log->held > ring)
		log->held = page_up(ring);
	total += log->held;
	return true;
}

void output_log_keep(struct output_log *log, uint64_t max)
{
	if (max > OUTPUT_LOG_MAX)
		max = OUTPUT_LOG_MAX;
	if (log->file < 0 || max == log->mark->max)
		return;
	/* Another ring has other places. */
	empty(log);
	store(&log->mark->max, max);
}

void output_log_free(struct output_log *log)
{
	if (log->mark)
		empty(log);
}

uint64_t output_log_start(const struct output_log *log)
{
	const struct output_mark *mark = log->mark;
	uint64_t oldest = mark->origin;

	if (!mark->ring)
		return mark->end;
	if (written(mark) > kept(mark))
		oldest = mark->end - kept(mark);
	return oldest > mark->start ? oldest : mark->start;
}

/* Nothing is there: begin a ring. In this order, as output_log_recover() looks at @ring. */
static void begin(struct output_log *log)
{
	struct output_mark *mark = log->mark;

	store(&mark->start, mark->end);
	store(&mark->origin, mark->end);
	store(&mark->at, log->base);
	store(&mark->ring, page_up(mark->max));
}

/*
 * Takes memory for @len bytes more. Where there is too little, the ring stays as large as
 * it is: it has not wrapped yet, or no more were needed.
 */
static void grow(struct output_log *log, uint64_t len)
{
	struct output_mark *mark = log->mark;
	uint64_t need = page_up(written(mark) + len), room = total_max - total;

	if (total > total_max)
		room = 0;
	if (need > mark->ring)
		need = mark->ring;
	if (need <= log->held)
		return;
	if (need - log->held > room) {
		need = log->held + (room & ~(page_size() - 1));
		store(&mark->at, log->base + written(mark));
		store(&mark->ring, need);
	}
	total += need - log->held;
	log->held = need;
}

/* There is a ring, if there may be one, with memory for @len bytes more, or for fewer. */
static void prepare(struct output_log *log, size_t len)
{
	struct output_mark *mark = log->mark;

	if (!mark->max)
		return;
	if (!mark->ring)
		begin(log);
	grow(log, len);
}

size_t output_log_room(struct output_log *log, uint64_t position, size_t len)
{
	const struct output_mark *mark = log->mark;
	uint64_t wanted;

	prepare(log, len);
	wanted = mark->end - position;
	if (wanted >= kept(mark))
		return 0;
	return len < kept(mark) - wanted ? len : kept(mark) - wanted;
}

/*
 * Where up to @len bytes may go, in one piece: how many, 0: nothing is kept. They are never
 * as many as the ring has, see output_log_recover().
 */
static size_t place(struct output_log *log, size_t len)
{
	struct output_mark *mark = log->mark;
	uint64_t at;

	prepare(log, len);
	if (!mark->ring)
		return 0;
	if (len >= mark->ring)
		len = mark->ring - 1;
	at = written(mark) % mark->ring;
	store(&mark->at, log->base + at);
	return len < mark->ring - at ? len : mark->ring - at;
}

static void advance(struct output_mark *mark, size_t len)
{
	store(&mark->end, mark->end + len);
}

/* Nobody will want them. */
static ssize_t count(struct output_log *log, int fd, size_t len)
{
	static char scratch[SCRATCH];
	ssize_t taken = read(fd, scratch, len < sizeof(scratch) ? len : sizeof(scratch));

	if (taken < 0)
		return -errno;
	advance(log->mark, taken);
	return taken;
}

ssize_t output_log_take(struct output_log *log, int fd, size_t len)
{
	size_t room = place(log, len);
	ssize_t taken;

	if (!room)
		return count(log, fd, len);
	taken = splice(fd, NULL, log->file, (loff_t *)&log->mark->at, room,
		       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (taken > 0)
		advance(log->mark, taken);
	return taken < 0 ? -errno : taken;
}

void output_log_append(struct output_log *log, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	ssize_t room;

	for (; len; from += room, len -= room) {
		room = place(log, len);
		if (room)
			room = pwrite(log->file, from, room, log->mark->at);
		if (room <= 0) {
			empty(log);
			advance(log->mark, len);
			store(&log->mark->start, log->mark->end);
			return;
		}
		store(&log->mark->at, log->mark->at + room);
		advance(log->mark, room);
	}
}

size_t output_log_read(const struct output_log *log, uint64_t position, void *buf, size_t len)
{
	const struct output_mark *mark = log->mark;
	uint64_t at;
	ssize_t have;

	if (position < output_log_start(log) || position >= mark->end)
		return 0;
	at = (position - mark->origin) % mark->ring;
	if (len > mark->end - position)
		len = mark->end - position;
	if (len > mark->ring - at)
		len = mark->ring - at;
	have = pread(log->file, buf, len, log->base + at);
	return have > 0 ? have : 0;
}

void output_log_drop(struct output_log *log, uint64_t position)
{
	if (position > log->mark->end)
		position = log->mark->end;
	if (position > log->mark->start)
		store(&log->mark->start, position);
}
