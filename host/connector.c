// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Connecting without waiting: one address of a target after the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "target.h"

/* A host that does not answer at all is given up long before TCP does. */
#define CONNECT_USEC	10000000

/**
 * struct connector - a connection to be
 * @loop: event loop
 * @target: where to
 * @next: address to try next
 * @code: how the last one failed
 * @fd: the one under way, -1: none
 * @io: source of @fd
 * @timer: of the one under way; at first, what begins
 * @done: whom to tell
 * @owner: its
 */
struct connector {
	sd_event *loop;
	const struct target *target;
	unsigned int next;
	int code;
	int fd;
	sd_event_source *io;
	sd_event_source *timer;
	connector_fn done;
	void *owner;
};

static void drop_fd(struct connector *c)
{
	c->io = sd_event_source_disable_unref(c->io);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void finish(struct connector *c, int fd)
{
	connector_fn done = c->done;
	void *owner = c->owner;

	connector_stop(c);
	done(fd, owner);
}

static void try_next(struct connector *c);

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct connector *c = userdata;
	socklen_t len = sizeof(c->code);

	(void)source;
	(void)revents;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &c->code, &len))
		c->code = errno;
	if (c->code) {
		c->code = -c->code;
		drop_fd(c);
		try_next(c);
		return 0;
	}
	c->fd = -1;
	finish(c, fd);
	return 0;
}

static int try_one(struct connector *c, const struct sockaddr_storage *addr, socklen_t len)
{
	int code;

	c->fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	/* EAGAIN comes from a unix socket with a full backlog, and is final. */
	if (connect(c->fd, (const struct sockaddr *)addr, len) && errno != EINPROGRESS)
		return -errno;
	code = sd_event_add_io(c->loop, &c->io, c->fd, EPOLLOUT, on_io, c);
	if (code >= 0)
		code = sd_event_source_set_time_relative(c->timer, CONNECT_USEC);
	if (code >= 0)
		code = sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
	return code < 0 ? code : 0;
}

static void try_next(struct connector *c)
{
	unsigned int i;

	while (c->next < c->target->count) {
		i = c->next++;
		c->code = try_one(c, &c->target->addresses[i], c->target->lengths[i]);
		if (!c->code)
			return;
		drop_fd(c);
	}
	finish(c, c->code ? c->code : -EADDRNOTAVAIL);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct connector *c = userdata;

	(void)source;
	(void)usec;
	if (c->fd >= 0)
		c->code = -ETIMEDOUT;
	drop_fd(c);
	try_next(c);
	return 0;
}

int connector_start(struct connector **connector, sd_event *loop, const struct target *target,
		    connector_fn done, void *owner)
{
	struct connector *c = calloc(1, sizeof(*c));
	int code;

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->target = target;
	c->fd = -1;
	c->done = done;
	c->owner = owner;
	code = sd_event_add_time_relative(loop, &c->timer, CLOCK_MONOTONIC, 0, 0, on_timer, c);
	if (code < 0) {
		free(c);
		return code;
	}
	*connector = c;
	return 0;
}

void connector_stop(struct connector *connector)
{
	if (!connector)
		return;
	drop_fd(connector);
	sd_event_source_disable_unref(connector->timer);
	free(connector);
}
