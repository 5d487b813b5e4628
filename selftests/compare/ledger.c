// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"

static struct ledger *ledger_map(const char *path, int flags, int *fd)
{
	int prot = (flags & O_ACCMODE) == O_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	void *map = MAP_FAILED;

	*fd = open(path, flags | O_CLOEXEC, 0600);
	if (*fd < 0)
		return NULL;
	if (!(flags & O_CREAT) || !ftruncate(*fd, sizeof(struct ledger)))
		map = mmap(NULL, sizeof(struct ledger), prot, MAP_SHARED, *fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

struct ledger *ledger_open(const char *path)
{
	struct ledger *l;
	int fd;

	/* The descriptor stays: the lock is the proof that its holder has gone. */
	l = ledger_map(path, O_RDWR | O_CREAT, &fd);
	if (!l)
		return NULL;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (l->pid)
			kill(l->pid, SIGTERM);
		if (flock(fd, LOCK_EX))
			return NULL;
	}
	l->pid = getpid();
	return l;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void note(struct ledger *l, struct ranges *r, uint64_t from, uint64_t to)
{
	if (from == to)
		return;
	if (r->count && r->range[r->count - 1].to == from) {
		r->range[r->count - 1].to = to;
		return;
	}
	if (r->count == LEDGER_RANGES) {
		l->overflow = 1;
		return;
	}
	r->range[r->count].from = from;
	r->range[r->count].to = to;
	r->count++;
}

uint64_t ledger_written(const struct ledger *l)
{
	return l->wrote.count ? l->wrote.range[l->wrote.count - 1].to : 0;
}

void ledger_wrote(struct ledger *l, uint64_t from, uint64_t to)
{
	if (l->mark && !l->marked)
		l->marked = from + 1;
	note(l, &l->wrote, from, to);
}

void ledger_got(struct ledger *l, uint64_t from, uint64_t to)
{
	note(l, &l->got, from, to);
	if (from > l->have || to <= l->have)
		return;
	l->have = to;
	if (l->mark && !l->first)
		l->first = now();
	if (l->marked && l->have >= l->marked && !l->echo)
		l->echo = now();
}

static void print_ranges(const char *name, const struct ranges *r)
{
	uint64_t i;

	for (i = 0; i < r->count; i++)
		printf("%s=%" PRIu64 "-%" PRIu64 "\n", name, r->range[i].from, r->range[i].to);
}

int ledger_print(const char *path)
{
	const struct ledger *l;
	int fd;

	l = ledger_map(path, O_RDONLY, &fd);
	if (!l)
		return -errno;
	printf("mark=%" PRIu64 "\nfirst=%" PRIu64 "\necho=%" PRIu64 "\n",
	       l->mark, l->first, l->echo);
	printf("epoch=%" PRIu64 "\nhave=%" PRIu64 "\ngreetings=%" PRIu64 "\n",
	       l->epoch, l->have, l->greetings);
	printf("resyncs=%" PRIu64 "\nbreaks=%" PRIu64 "\nunknown=%" PRIu64 "\n",
	       l->resyncs, l->breaks, l->unknown);
	printf("overflow=%" PRIu64 "\ndone=%" PRIu64 "\nstatus=%" PRIu64 "\n",
	       l->overflow, l->done, l->status);
	print_ranges("wrote", &l->wrote);
	print_ranges("got", &l->got);
	return 0;
}
