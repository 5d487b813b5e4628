// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The log of a program's output, against a model that keeps everything; and one whose writer
 * is killed at any moment.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* Its source, as the daemon is no library. */
#include "../../daemon/output_log.c"

#include "random.h"
#include <tap.h>

#define TOTAL	(1024 * 1024)
#define BASE	(2ull * OUTPUT_LOG_MAX)
#define PAGE	4096

static uint8_t model[TOTAL];
static int file;

/**
 * struct logged - a log with all that belongs to it
 * @log: log
 * @mark: its
 */
struct logged {
	struct output_log log;
	struct output_mark mark;
};

static void begin_log(struct logged *it, unsigned int place, uint64_t max)
{
	memset(it, 0, sizeof(*it));
	output_log_init(&it->log, &it->mark, file, place * BASE);
	output_log_keep(&it->log, max);
}

/* All that the log has, from @position on. */
static bool reads(const struct logged *it, uint64_t position)
{
	static uint8_t buf[TOTAL];
	size_t len;

	while ((len = output_log_read(&it->log, position, buf, sizeof(buf)))) {
		if (position + len > it->mark.end || memcmp(buf, model + position, len))
			return false;
		position += len;
	}
	return position == it->mark.end;
}

static uint64_t start_of(const struct logged *it)
{
	return output_log_start(&it->log);
}

/* Bytes of the file's memory. */
static uint64_t memory(void)
{
	struct stat st;

	return fstat(file, &st) ? 0 : st.st_blocks * 512ull;
}

static void test_nothing_kept(void)
{
	struct logged it;
	char c;

	begin_log(&it, 0, 0);
	output_log_append(&it.log, model, 100);
	ok(it.mark.end == 100 && start_of(&it) == 100 && !memory() &&
	   !output_log_read(&it.log, 99, &c, 1) && !output_log_read(&it.log, 100, &c, 1),
	   "without a limit bytes are only counted");
	output_log_keep(&it.log, 1000);
	output_log_append(&it.log, model + 100, 10);
	ok(start_of(&it) == 100 && it.mark.end == 110 && reads(&it, 100), "kept from now on");
	output_log_free(&it.log);
	ok(start_of(&it) == it.mark.end && !memory(), "nothing is there when it was freed");
}

static void test_small_first(void)
{
	struct logged it;

	begin_log(&it, 1, 65536);
	output_log_append(&it.log, model, 10);
	ok(memory() <= PAGE && it.log.held <= PAGE, "a line takes %zu bytes of memory",
	   (size_t)memory());
	output_log_append(&it.log, model + 10, 65526);
	ok(memory() == 65536 && start_of(&it) == 0 && reads(&it, 0), "it grows to its limit");
	output_log_append(&it.log, model + 65536, 1);
	ok(memory() == 65536 && start_of(&it) == 1 && reads(&it, 1), "and not beyond");
	output_log_free(&it.log);
	ok(!memory(), "and gives all back");
}

static void test_drop(void)
{
	struct logged it;
	char c;

	begin_log(&it, 0, 100);
	output_log_append(&it.log, model, 80);
	output_log_drop(&it.log, 50);
	ok(start_of(&it) == 50 && !output_log_read(&it.log, 49, &c, 1) && reads(&it, 50),
	   "what was dropped is gone");
	output_log_drop(&it.log, 20);
	ok(start_of(&it) == 50, "and does not come back");
	output_log_append(&it.log, model + 80, 60);
	ok(start_of(&it) == 50 && reads(&it, 50), "its place is used");
	output_log_drop(&it.log, 1000);
	ok(start_of(&it) == 140 && it.mark.end == 140, "no more is dropped than there was");
	output_log_free(&it.log);
}

/* What one has is not there for another. */
static void test_limit(void)
{
	struct logged a, b;

	begin_log(&a, 0, 8192);
	begin_log(&b, 1, 8192);
	output_log_limit(10000);
	output_log_append(&a.log, model, 8192);
	output_log_append(&b.log, model, 8192);
	ok(memory() == 8192 && reads(&a, 0), "the first one takes its part");
	ok(b.mark.end == 8192 && start_of(&b) == 8192, "the second one only counts");
	output_log_free(&a.log);
	output_log_append(&b.log, model + 8192, 8192);
	ok(memory() == 8192 && start_of(&b) == 8192 && reads(&b, 8192),
	   "until the first one is gone");
	output_log_free(&b.log);

	begin_log(&a, 0, 8192);
	begin_log(&b, 1, 65536);
	output_log_limit(8192 + 3 * PAGE);
	output_log_append(&b.log, model, PAGE + 100);
	output_log_append(&a.log, model, 8192);
	output_log_append(&b.log, model + PAGE + 100, 20000);
	ok(memory() == 8192 + 3 * PAGE && reads(&a, 0) && reads(&b, start_of(&b)) &&
	   b.mark.end - start_of(&b) == 3 * PAGE, "one that cannot grow keeps what it has");
	output_log_append(&b.log, model + PAGE + 20100, 50000);
	ok(b.mark.end - start_of(&b) == 3 * PAGE && reads(&b, start_of(&b)),
	   "and uses it over and over");
	output_log_free(&a.log);
	output_log_free(&b.log);
	output_log_limit(UINT64_MAX);
}

/* What may be taken while somebody still needs what is there. */
static void test_room(void)
{
	struct output_log *log;
	struct logged it;

	begin_log(&it, 0, 10000);
	log = &it.log;
	ok(output_log_room(log, 0, 4000) == 4000 && output_log_room(log, 0, 1 << 20) == 10000,
	   "an empty one has room");
	output_log_append(log, model, 9000);
	ok(output_log_room(log, 0, 4000) == 1000 && output_log_room(log, 500, 4000) == 1500 &&
	   output_log_room(log, 9000, 4000) == 4000, "for what pushes out nothing that is needed");
	output_log_append(log, model + 9000, 1000);
	ok(!output_log_room(log, 0, 1), "then it has none");
	output_log_free(log);
	output_log_limit(0);
	begin_log(&it, 0, 10000);
	ok(!output_log_room(log, 0, 100), "nor has one without memory");
	output_log_limit(UINT64_MAX);
}

/* From a pipe, by pieces of all sizes. */
static void test_take(uint64_t max)
{
	uint64_t seed = max, written = 0, kept;
	struct logged it;
	bool good = true;
	ssize_t len;
	int fds[2];

	begin_log(&it, 0, max);
	must(!pipe2(fds, O_NONBLOCK));
	ok(output_log_take(&it.log, fds[0], 100) == -EAGAIN, "nothing in the pipe yet");
	while (it.mark.end < TOTAL && good) {
		len = random_below(&seed, 20000) + 1;
		len = write(fds[1], model + written, len < (ssize_t)(TOTAL - written) ?
			    len : (ssize_t)(TOTAL - written));
		written += len > 0 ? len : 0;
		while ((len = output_log_take(&it.log, fds[0], random_below(&seed, 70000) + 1)) > 0)
			expect(&good, reads(&it, start_of(&it)));
		expect(&good, len == -EAGAIN && it.mark.end == written);
		kept = written < max ? written : max;
		expect(&good, it.mark.end - start_of(&it) == kept);
	}
	close(fds[1]);
	ok(good && !output_log_take(&it.log, fds[0], 100), "taken from a pipe, %zu bytes kept",
	   (size_t)max);
	close(fds[0]);
	output_log_free(&it.log);
}

/* Sizes that do and do not divide each other, pieces shorter and longer than the log. */
static void test_random(uint64_t max)
{
	uint64_t seed = max, dropped = 0, oldest;
	struct logged it;
	bool good = true;
	size_t len;

	begin_log(&it, 0, max);
	while (it.mark.end < TOTAL && good) {
		len = random_below(&seed, random_below(&seed, 8) ? 300 : 3 * max);
		if (len > TOTAL - it.mark.end)
			len = TOTAL - it.mark.end;
		output_log_append(&it.log, model + it.mark.end, len);
		if (!random_below(&seed, 10)) {
			dropped = start_of(&it);
			dropped += random_below(&seed, it.mark.end - dropped + 1);
			output_log_drop(&it.log, dropped);
		}
		/* Neither more nor less than it may keep. */
		oldest = it.mark.end > max ? it.mark.end - max : 0;
		if (oldest < dropped)
			oldest = dropped;
		expect(&good, it.log.held <= page_up(max));
		expect(&good, start_of(&it) == oldest);
		expect(&good, reads(&it, start_of(&it)));
	}
	ok(good && memory() <= page_up(max), "a limit of %zu bytes", (size_t)max);
	output_log_free(&it.log);
}

/*
 * Killed
 */

/* Writes the model over and over. */
static pid_t start_writer(int fd)
{
	size_t at = 0, len;
	ssize_t done;
	pid_t pid = fork();

	if (pid)
		return pid;
	for (;;) {
		len = TOTAL - at < 30000 ? TOTAL - at : 30000;
		done = write(fd, model + at, len);
		at = (at + (done > 0 ? done : 0)) % TOTAL;
	}
}

static pid_t start_taker(struct logged *it, int fd)
{
	uint64_t seed = getpid();
	pid_t pid = fork();

	if (pid)
		return pid;
	while (output_log_take(&it->log, fd, 1 + random_below(&seed, 65536)))
		;
	_exit(0);
}

static void kill_and_wait(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The bytes of the model, over and over, from @position on. */
static bool is_model(const uint8_t *bytes, size_t len, uint64_t position)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i] != model[(position + i) % TOTAL])
			return false;
	return true;
}

/* The log ends where the pipe begins, and has what comes before. */
static bool goes_on(struct logged *it, int fd)
{
	static uint8_t buf[65536];
	uint64_t at = start_of(it);
	ssize_t len;

	while ((len = output_log_read(&it->log, at, buf, sizeof(buf))) > 0) {
		if (!is_model(buf, len, at))
			return false;
		at += len;
	}
	len = read(fd, buf, 64);
	return at == it->mark.end && len > 0 && is_model(buf, len, at);
}

static void test_killed(uint64_t max)
{
	struct logged *it = mmap(NULL, sizeof(*it), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int round, good = 0, late = 0;
	uint64_t seed = max, end;
	struct timespec moment = { 0 };
	pid_t writer, taker;
	int fds[2];

	for (round = 0; round < 200; round++) {
		begin_log(it, 0, max);
		must(!pipe(fds));
		writer = start_writer(fds[1]);
		close(fds[1]);
		taker = start_taker(it, fds[0]);
		moment.tv_nsec = random_below(&seed, 4000000);
		nanosleep(&moment, NULL);
		kill_and_wait(taker);
		end = it->mark.end;
		good += output_log_recover(&it->log) && goes_on(it, fds[0]);
		late += it->mark.end != end;
		close(fds[0]);
		kill_and_wait(writer);
		output_log_free(&it->log);
	}
	ok(good == round, "killed %u times, %zu bytes kept: no byte is lost or doubled", round,
	   (size_t)max);
	ok(late, "%u of them before it could note what the kernel had moved", late);
	munmap(it, sizeof(*it));
}

static void test_nonsense(void)
{
	static const struct output_mark marks[] = {
		{ .start = 1 },
		{ .taken = 1 },
		{ .origin = 1 },
		{ .max = OUTPUT_LOG_MAX + 1 },
		{ .ring = OUTPUT_LOG_MAX + PAGE },
		{ .ring = PAGE, .at = PAGE + 1 },
		{ .ring = PAGE, .at = UINT64_MAX },
	};
	struct logged it;
	bool good = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		begin_log(&it, 0, 0);
		it.mark = marks[i];
		expect(&good, !output_log_recover(&it.log) && !it.mark.end && !it.mark.ring);
		output_log_keep(&it.log, 100);
		output_log_append(&it.log, model, 10);
		expect(&good, reads(&it, 0));
		output_log_free(&it.log);
	}
	ok(good, "marks that make no sense are refused, and the log is usable");
}

int main(void)
{
	uint64_t seed = 1;
	size_t i;

	for (i = 0; i < sizeof(model); i++)
		model[i] = random_below(&seed, 256);
	file = memfd_create("log", MFD_CLOEXEC);
	must(file >= 0 && !ftruncate(file, 2 * BASE));
	test_nothing_kept();
	test_small_first();
	test_drop();
	test_limit();
	test_room();
	test_take(100);
	test_take(5000);
	test_take(65536);
	test_random(100);
	test_random(1000);
	test_random(4096);
	test_random(5000);
	test_random(65536);
	test_killed(PAGE);
	test_killed(65536);
	test_killed(100000);
	test_nonsense();
	return tap_done();
}
