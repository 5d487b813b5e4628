// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The records and logs of sessions, in memory that outlives the agent, where systemd keeps it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "log.h"
#include "loop.h"
#include "store.h"
#include "store_file.h"
#include "systemd.h"

/* Name of what systemd keeps. */
#define STORE_NAME	"kring-sessions"

/* A record is in use until the session's processes are gone, so for longer than the session. */
#define RECORDS_SPARE	64

/**
 * struct store - the one that there is
 * @file: -1: it is just memory
 * @life: pipe, -1: nobody keeps it
 * @header: mapped
 * @records: behind it
 * @count: how many
 * @size: bytes that are mapped
 * @used: of each record
 */
static struct store {
	int file;
	int life[2];
	struct store_header *header;
	struct session_record *records;
	unsigned int count;
	size_t size;
	bool *used;
} store = { .file = -1, .life = { -1, -1 } };

static int map_table(int file, unsigned int records)
{
	int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	size_t size = store_file_table(records);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);

	if (at == MAP_FAILED)
		return -errno;
	store.used = calloc(records, sizeof(*store.used));
	if (!store.used) {
		munmap(at, size);
		return -ENOMEM;
	}
	store.file = file;
	store.size = size;
	store.count = records;
	store.header = at;
	store.records = (struct session_record *)((char *)at + SESSION_RECORD_SIZE);
	return 0;
}

/*
 * What systemd has kept
 */

static bool is_pipe(int fd, int mode)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode) &&
		(fcntl(fd, F_GETFL) & O_ACCMODE) == mode;
}

/* Sorts out which is which: all have one name. */
static void take_kept(void)
{
	int fd;

	while ((fd = systemd_take_fd(STORE_NAME)) >= 0) {
		if (store.life[0] < 0 && is_pipe(fd, O_RDONLY))
			store.life[0] = fd;
		else if (store.life[1] < 0 && is_pipe(fd, O_WRONLY))
			store.life[1] = fd;
		else if (store.file < 0 && fcntl(fd, F_GET_SEALS) > 0)
			store.file = fd;
		else
			close(fd);
	}
}

static void forget(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * With the last end of the pipe, the keepers of whatever it is know that nobody comes. They
 * hang their programs up, but for those that need no host.
 */
static void refuse_kept(void)
{
	log_warning("those sessions are hung up; those that were detached go on without an agent");
	systemd_unstore(STORE_NAME);
	forget(&store.file);
	forget(&store.life[0]);
	forget(&store.life[1]);
}

static bool adopt(void)
{
	struct store_header header;
	unsigned int i;
	int file;

	take_kept();
	if (store.file < 0 && store.life[0] < 0 && store.life[1] < 0)
		return false;
	file = store.file;
	if (file < 0 || store.life[0] < 0 || store.life[1] < 0) {
		log_error("sessions of the agent before: systemd has not kept all of them");
		refuse_kept();
		return false;
	}
	if (store_file_check(file, &header) || map_table(file, header.records)) {
		refuse_kept();
		return false;
	}
	for (i = 0; i < store.count; i++)
		store.used[i] = store.records[i].state != SESSION_FREE;
	return true;
}

static int create(unsigned int records)
{
	int file = store_file_create(records), code;

	/* Such a small kernel has programs whose output cannot be kept, but has them. */
	if (file < 0) {
		log_warning("no output of detached sessions is kept: memfd: %s", strerror(-file));
		file = -1;
	}
	code = map_table(file, records);
	if (code) {
		if (file >= 0)
			close(file);
		return code;
	}
	store_file_begin(store.header, records);
	return 0;
}

/* Without it, sessions end with this agent. */
static void have_kept(void)
{
	int fds[3];

	if (store.file < 0 || !systemd_stores())
		return;
	if (pipe2(store.life, O_CLOEXEC)) {
		log_warning("sessions will not outlive the agent: %s", strerror(errno));
		return;
	}
	fds[0] = store.file;
	fds[1] = store.life[0];
	fds[2] = store.life[1];
	/* One that hangs up is still wanted. */
	if (systemd_store(STORE_NAME, false, fds, ARRAY_SIZE(fds))) {
		log_warning("sessions will not outlive the agent: systemd does not hear");
		forget(&store.life[0]);
		forget(&store.life[1]);
	}
}

static void unmap(void)
{
	munmap(store.header, store.size);
	free(store.used);
	store.header = NULL;
	store.records = NULL;
	store.used = NULL;
	forget(&store.file);
	forget(&store.life[0]);
	forget(&store.life[1]);
}

int store_init(unsigned int sessions)
{
	unsigned int records = sessions + RECORDS_SPARE;
	int code;

	if (adopt()) {
		if (store.count >= records || store_next(NULL))
			return 0;
		/* Of an agent that was configured to have fewer. */
		systemd_unstore(STORE_NAME);
		unmap();
	}
	code = create(records);
	if (code)
		return code;
	have_kept();
	return 0;
}

void store_fini(void)
{
	if (store.header)
		unmap();
}

bool store_is_kept(void)
{
	return store.life[1] >= 0;
}

int store_life(void)
{
	return store.life[0];
}

uint64_t store_last(void)
{
	return store.header->last;
}

void store_set_last(uint64_t number)
{
	store.header->last = number;
}

/*
 * Records
 */

struct session_record *store_add(void)
{
	unsigned int i;

	/* The first one, so that few pages are in use. */
	for (i = 0; i < store.count; i++) {
		if (store.used[i])
			continue;
		store.used[i] = true;
		return &store.records[i];
	}
	return NULL;
}

/* Memory that had to be there while there were many sessions. */
static void trim_table(void)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)&store.records[4] + page - 1) & ~(page - 1);
	uintptr_t end = (uintptr_t)&store.records[store.count] & ~(page - 1);

	if (store.file >= 0 && from < end)
		madvise((void *)from, end - from, MADV_REMOVE);
}

void store_remove(struct session_record *record)
{
	unsigned int i = record - store.records, channel;
	struct output_mark mark = { 0 };
	struct output_log log;

	for (channel = 0; channel < 2; channel++) {
		/* Also what a process that was killed had not come to give back. */
		if (!record->outputs[channel].at || store.file < 0)
			continue;
		store_init_log(record, channel, &log, &mark);
		fallocate(store.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, log.base,
			  OUTPUT_LOG_MAX);
	}
	kring_store_release(&record->state, SESSION_FREE);
	memset(record, 0, sizeof(*record));
	store.used[i] = false;
	if (i >= 4 && !memchr(store.used, true, store.count))
		trim_table();
}

struct session_record *store_next(const struct session_record *record)
{
	unsigned int i = record ? record - store.records + 1 : 0;

	for (; i < store.count; i++)
		if (store.used[i])
			return &store.records[i];
	return NULL;
}

void store_init_log(const struct session_record *record, unsigned int channel,
		    struct output_log *log, struct output_mark *mark)
{
	uint64_t index = 2 * (record - store.records) + channel;

	output_log_init(log, mark, store.file,
			store_file_logs(store.count) + index * OUTPUT_LOG_MAX);
}
