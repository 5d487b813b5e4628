// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Devices, where there is no libudev: nodes in /dev, which the kernel makes by itself in
 * devtmpfs.
 */
#ifdef KRINGD_STATIC

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "discover.h"

#define FIRST_DEVICE	"/dev/kring"

/**
 * struct discover - the watch
 * @loop: event loop
 * @fd: inotify's
 * @op: waits for events
 * @ops: callbacks
 * @owner: for them
 * @stopping: it is to be freed when @op is over
 */
struct discover {
	struct loop *loop;
	int fd;
	struct loop_op op;
	const struct discover_ops *ops;
	void *owner;
	bool stopping;
};

int discover_look(const char *wanted, char *path)
{
	snprintf(path, PATH_MAX, "%s", wanted ? wanted : FIRST_DEVICE);
	return access(path, F_OK) ? -errno : 0;
}

static void discover_free(struct discover *discover)
{
	const struct discover_ops *ops = discover->ops;
	void *owner = discover->owner;

	close(discover->fd);
	free(discover);
	ops->stopped(owner);
}

static void discover_event(struct loop_op *op, int result)
{
	struct discover *discover = container_of(op, struct discover, op);
	char events[4096];

	if (discover->stopping) {
		discover_free(discover);
		return;
	}
	while (read(discover->fd, events, sizeof(events)) > 0)
		;
	loop_poll(discover->loop, op, discover->fd, POLLIN);
	claim_ports();
	if (result >= 0)
		discover->ops->appeared(discover->owner);
}

int discover_start(struct discover **to, struct loop *loop, const char *wanted,
		   const struct discover_ops *ops, void *owner)
{
	struct discover *discover;
	char path[PATH_MAX];
	int err;

	discover = calloc(1, sizeof(*discover));
	if (!discover)
		return -ENOMEM;
	discover->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (discover->fd < 0) {
		err = -errno;
		goto free_discover;
	}
	snprintf(path, sizeof(path), "%s", wanted ? wanted : FIRST_DEVICE);
	if (inotify_add_watch(discover->fd, dirname(path), IN_CREATE | IN_MOVED_TO) < 0) {
		err = -errno;
		goto close_fd;
	}
	discover->loop = loop;
	discover->ops = ops;
	discover->owner = owner;
	discover->op.done = discover_event;
	loop_poll(loop, &discover->op, discover->fd, POLLIN);
	*to = discover;
	return 0;

close_fd:
	close(discover->fd);
free_discover:
	free(discover);
	return err;
}

void discover_stop(struct discover *discover)
{
	discover->stopping = true;
	loop_cancel(discover->loop, &discover->op);
}

#endif /* KRINGD_STATIC */
