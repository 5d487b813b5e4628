// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A program of the guest that has connected to /run/kring/host.sock: its one line, and the
 * answer to it. After that a relay has the connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "caller.h"
#include "log.h"
#include "quiesce.h"
#include "relay.h"
#include "serve.h"

#define VERB		"CONNECT "
#define LINE_MAX_LEN	256

/* For the line to be written. */
#define PATIENCE	10000000000ull

/**
 * struct caller - one program
 * @agent: agent
 * @fd: socket, -1: it is gone, and so are we when nothing is under way
 * @stream: to the host, NULL: not yet
 * @input: waits for the line
 * @limit: ends the wait
 * @len: bytes of @line
 * @line: as far as it has come
 */
struct caller {
	struct agent *agent;
	int fd;
	struct kring_stream *stream;
	struct loop_op input;
	struct loop_op limit;
	size_t len;
	char line[LINE_MAX_LEN + 1];
};

static void caller_free(struct caller *caller)
{
	if (caller->fd >= 0 || caller->input.busy || caller->limit.busy)
		return;
	free(caller);
}

static void caller_end(struct caller *caller)
{
	if (caller->fd >= 0)
		close(caller->fd);
	caller->fd = -1;
	loop_cancel(&caller->agent->loop, &caller->input);
	loop_cancel(&caller->agent->loop, &caller->limit);
	caller_free(caller);
}

/* True when all of it went out: nothing is before it, so it goes at once or never. */
__attribute__((format(printf, 2, 3)))
static bool say(struct caller *caller, const char *fmt, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	return send(caller->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) == len;
}

/* Closed with bytes unread, the connection would be reset, and our last words with it. */
static void refuse(struct caller *caller, const char *why)
{
	char rest[4096];
	int i;

	say(caller, "ERROR %s", why);
	for (i = 0; i < 16 && recv(caller->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	caller_end(caller);
}

static void on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct caller *caller = kring_stream_owner(stream);

	(void)reply;
	(void)len;
	if (!say(caller, "OK %s", caller->line + strlen(VERB)) ||
	    relay_start(&caller->agent->loop, stream, caller->fd))
		kring_reset(stream, EPIPE, "service", "the program in the guest has gone");
	else
		caller->fd = -1;
	caller_end(caller);
}

/* One line, whatever the host has sent. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = ' ';
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct caller *caller = kring_stream_owner(stream);
	Kring__Error *e = kring_unpack(&kring__error__descriptor, error, len);

	if (e && *e->text) {
		one_line(e->text);
		refuse(caller, e->text);
	} else {
		refuse(caller, "the host has refused");
	}
	kring_unpack_free(e);
}

static const struct kring_stream_ops caller_ops = {
	.accepted = on_accepted,
	.reset = on_reset,
};

static void ask_host(struct caller *caller)
{
	struct agent *agent = caller->agent;
	Kring__Service service = KRING__SERVICE__INIT;
	struct kring_open_args args = {
		.service = "service",
		.request = &service.base,
		.channels = 1 << 0,
		.ops = &caller_ops,
		.owner = caller,
	};

	if (strncmp(caller->line, VERB, strlen(VERB)) || !caller->line[strlen(VERB)]) {
		refuse(caller, "say CONNECT NAME");
		return;
	}
	if (!agent_connected(agent)) {
		refuse(caller, "no host is connected");
		return;
	}
	if (!agent_may_open(agent)) {
		refuse(caller, "too many connections wait for the host");
		return;
	}
	service.name = caller->line + strlen(VERB);
	args.parent = serve_find(agent, service.name);
	caller->stream = kring_open_with(agent->mux, &args);
	if (caller->stream)
		quiesce_opened(agent, caller->stream);
	else
		refuse(caller, strerror(errno));
}

/* 1: the line is complete; 0: not yet; or -errno. Takes nothing of what is behind it. */
static int read_line(struct caller *caller)
{
	size_t room = LINE_MAX_LEN - caller->len;
	char *at = caller->line + caller->len;
	char *end;
	ssize_t n;

	n = recv(caller->fd, at, room, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	end = memchr(at, '\n', n);
	if (end)
		n = end - at + 1;
	n = recv(caller->fd, at, n, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	caller->len += n;
	if (!end)
		return caller->len == LINE_MAX_LEN ? -EMSGSIZE : 0;
	*end = '\0';
	if (end > caller->line && end[-1] == '\r')
		end[-1] = '\0';
	return strlen(caller->line) < (size_t)(end - caller->line) - 1 ? -EINVAL : 1;
}

static void input_done(struct loop_op *op, int result)
{
	struct caller *caller = (struct caller *)((char *)op - offsetof(struct caller, input));
	int code;

	if (caller->fd < 0) {
		caller_free(caller);
		return;
	}
	code = result < 0 ? result : read_line(caller);
	if (!code) {
		loop_poll(&caller->agent->loop, &caller->input, caller->fd, POLLIN);
		return;
	}
	loop_cancel(&caller->agent->loop, &caller->limit);
	if (code > 0)
		ask_host(caller);
	else if (code == -EMSGSIZE || code == -EINVAL)
		refuse(caller, "that is no line");
	else
		caller_end(caller);
}

static void limit_done(struct loop_op *op, int result)
{
	struct caller *caller = (struct caller *)((char *)op - offsetof(struct caller, limit));

	/* Cancelled, or too late. */
	if (caller->fd < 0)
		caller_free(caller);
	else if (!result && !caller->stream)
		refuse(caller, "no line has come in time");
}

int caller_start(struct agent *agent, int fd)
{
	struct caller *caller = calloc(1, sizeof(*caller));

	if (!caller)
		return -ENOMEM;
	caller->agent = agent;
	caller->fd = fd;
	caller->input.done = input_done;
	caller->limit.done = limit_done;
	loop_poll(&agent->loop, &caller->input, fd, POLLIN);
	loop_timeout(&agent->loop, &caller->limit, PATIENCE);
	return 0;
}
