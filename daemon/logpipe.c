// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A pipe whose lines go to the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "leftover.h"
#include "log.h"
#include "logpipe.h"

/* What is taken at a turn, and of what is left at the end. */
#define CHUNK	4096
#define REST	65536

static void put_line(struct logpipe *pipe)
{
	if (pipe->len)
		log_info("%s: %.*s", pipe->label, (int)pipe->len, pipe->line);
	pipe->len = 0;
}

static void put_bytes(struct logpipe *pipe, const char *bytes, size_t len)
{
	for (; len; bytes++, len--) {
		if (*bytes != '\n')
			pipe->line[pipe->len++] = *bytes ? *bytes : '?';
		if (*bytes == '\n' || pipe->len == sizeof(pipe->line))
			put_line(pipe);
	}
}

/* Bytes that were read, 0: its end, or -errno. */
static ssize_t take(struct logpipe *pipe)
{
	char chunk[CHUNK];
	ssize_t len;

	do {
		len = read(pipe->fd, chunk, sizeof(chunk));
	} while (len < 0 && errno == EINTR);
	if (len > 0)
		put_bytes(pipe, chunk, len);
	return len < 0 ? -errno : len;
}

static void logpipe_ready(struct loop_op *op, int result)
{
	struct logpipe *pipe = container_of(op, struct logpipe, op);
	ssize_t len;

	(void)result;
	if (pipe->fd < 0) {
		pipe->over(pipe);
		return;
	}
	len = take(pipe);
	if (len > 0 || len == -EAGAIN)
		loop_poll(pipe->loop, op, pipe->fd, POLLIN);
}

static void logpipe_end(struct loop_job *job)
{
	struct logpipe *pipe = container_of(job, struct logpipe, end);

	pipe->over(pipe);
}

int logpipe_start(struct logpipe *pipe, struct loop *loop, const char *label,
		  void (*over)(struct logpipe *pipe))
{
	int fds[2], code;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	/* Ours alone: the program is to wait. */
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK)) {
		code = -errno;
		close(fds[0]);
		close(fds[1]);
		return code;
	}
	pipe->loop = loop;
	pipe->fd = fds[0];
	pipe->label = label;
	pipe->over = over;
	pipe->len = 0;
	pipe->op.done = logpipe_ready;
	pipe->end.run = logpipe_end;
	loop_poll(loop, &pipe->op, pipe->fd, POLLIN);
	return fds[1];
}

void logpipe_finish(struct logpipe *pipe, bool stay)
{
	ssize_t len = 1, total;

	for (total = 0; len > 0 && total < REST; total += len)
		len = take(pipe);
	put_line(pipe);
	if (!len || !stay || leftover_add(pipe->loop, pipe->fd))
		close(pipe->fd);
	pipe->fd = -1;
	if (pipe->op.busy)
		loop_cancel(pipe->loop, &pipe->op);
	else
		loop_queue(pipe->loop, &pipe->end);
}
