// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Pipes of sessions that are over. A child in the background that still writes there, as
 * one that "sh -c 'server &'" has started, would be killed by SIGPIPE if they were closed,
 * or hang if nobody read them. So they are read, and what is in them is dropped, at a
 * pipeful each PAUSE_NS: a child that writes without end shall not keep the agent busy.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "leftover.h"
#include "log.h"
#include "store.h"
#include "systemd.h"

/* Name of what systemd keeps, and a number. */
#define NAME	"kring-leftover-"

/* Each is a descriptor. When there are more, the oldest ones are closed after all. */
#define LEFTOVERS_MAX	256

#define PAUSE_NS	10000000ull
#define PIPEFUL		65536

/**
 * struct leftover - one of them
 * @list: of all there are
 * @loop: event loop
 * @op: waits for bytes, or for the pause to be over
 * @fd: reading end, -1: it is closed, and to be freed
 * @number: under which systemd has it, 0: it does not
 */
struct leftover {
	TAILQ_ENTRY(leftover) list;
	struct loop *loop;
	struct loop_op op;
	int fd;
	unsigned long number;
};

static TAILQ_HEAD(leftovers, leftover) leftovers = TAILQ_HEAD_INITIALIZER(leftovers);
static unsigned int count;
static unsigned long last;

/* When the last child has gone, systemd drops its own by itself. */
static void store_one(struct leftover *leftover)
{
	char name[sizeof(NAME) + 24];

	if (!store_is_kept())
		return;
	snprintf(name, sizeof(name), NAME "%lu", last + 1);
	if (!systemd_store(name, true, &leftover->fd, 1))
		leftover->number = ++last;
}

static void unstore_one(const struct leftover *leftover)
{
	char name[sizeof(NAME) + 24];

	if (!leftover->number)
		return;
	snprintf(name, sizeof(name), NAME "%lu", leftover->number);
	systemd_unstore(name);
}

static void leftover_close(struct leftover *leftover)
{
	TAILQ_REMOVE(&leftovers, leftover, list);
	count--;
	close(leftover->fd);
	leftover->fd = -1;
	if (leftover->op.busy)
		loop_cancel(leftover->loop, &leftover->op);
	else
		free(leftover);
}

static void leftover_ready(struct loop_op *op, int result)
{
	struct leftover *leftover = container_of(op, struct leftover, op);
	static char scratch[PIPEFUL / 16];
	size_t total = 0;
	ssize_t len;

	(void)result;
	if (leftover->fd < 0) {
		free(leftover);
		return;
	}
	do {
		len = read(leftover->fd, scratch, sizeof(scratch));
		total += len > 0 ? len : 0;
	} while ((len > 0 && total < PIPEFUL) || (len < 0 && errno == EINTR));
	if (!len || (len < 0 && errno != EAGAIN))
		leftover_close(leftover);
	else if (total)
		loop_timeout(leftover->loop, op, PAUSE_NS);
	else
		loop_poll(leftover->loop, op, leftover->fd, POLLIN);
}

static struct leftover *add(struct loop *loop, int fd)
{
	struct leftover *leftover = calloc(1, sizeof(*leftover));

	if (!leftover)
		return NULL;
	if (count == LEFTOVERS_MAX) {
		log_debug("closing the oldest of %u pipes of sessions that are over", count);
		unstore_one(TAILQ_FIRST(&leftovers));
		leftover_close(TAILQ_FIRST(&leftovers));
	}
	leftover->loop = loop;
	leftover->fd = fd;
	leftover->op.done = leftover_ready;
	TAILQ_INSERT_TAIL(&leftovers, leftover, list);
	count++;
	loop_poll(loop, &leftover->op, fd, POLLIN);
	return leftover;
}

int leftover_add(struct loop *loop, int fd)
{
	struct leftover *leftover = add(loop, fd);

	if (!leftover)
		return -ENOMEM;
	store_one(leftover);
	return 0;
}

void leftover_init(struct loop *loop)
{
	struct leftover *leftover;
	unsigned long number;
	int fd;

	while ((fd = systemd_take_numbered_fd(NAME, &number)) >= 0) {
		leftover = add(loop, fd);
		if (!leftover) {
			close(fd);
			continue;
		}
		leftover->number = number;
		if (number > last)
			last = number;
	}
}

void leftover_fini(struct loop *loop)
{
	(void)loop;
	while (!TAILQ_EMPTY(&leftovers))
		leftover_close(TAILQ_FIRST(&leftovers));
}
