// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One request to the guest, and its answer, over a broker's socket, without an event loop.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "message.h"
#include "mux.h"
#include "quiesce.h"

/* Where nothing else was asked for, as the guest has it. */
#define TIMEOUT_MS	60000

/* For whoever is there to say so, and for all hooks that undo what was done. */
#define HELLO_MS	10000
#define THAW_MS		300000

/**
 * struct call - a request under way
 * @fd: socket
 * @mux: streams
 * @hello: what was said
 * @err: the caller's, or NULL
 * @code: the answer
 * @ended: it has come
 * @frame: from or to the socket
 */
struct call {
	int fd;
	struct kring_mux *mux;
	struct kring_hello hello;
	struct kring_error *err;
	int code;
	bool ended;
	uint8_t frame[KRING_STREAM_FRAME_MAX];
};

static void on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct call *call = kring_mux_owner(mux);

	/* One that makes no sense is no answer: we wait for another. */
	kring_hello_received(&call->hello, mux, message, len);
}

static const struct kring_mux_ops mux_ops = {
	.hello = on_hello,
};

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct call *call = kring_stream_owner(stream);

	(void)result;
	(void)len;
	kring_close(stream, NULL);
	call->code = 0;
	call->ended = true;
}

/* It is going to be shown on terminals, and be one line. */
static char *printable(char *text)
{
	char *c;

	for (c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return text;
}

static void on_reset(struct kring_stream *stream, const void *bytes, size_t len)
{
	struct call *call = kring_stream_owner(stream);
	Kring__Error *error = kring_unpack(&kring__error__descriptor, bytes, len);
	int number = error && error->number > 0 && error->number < 4096 ? error->number : EPROTO;

	call->ended = true;
	if (error)
		call->code = kring_error(call->err, -number, "%.40s: %.200s",
					 printable(error->step), printable(error->text));
	else
		call->code = kring_error(call->err, -EPROTO, "the guest's answer makes no sense");
	kring_unpack_free(error);
}

static const struct kring_stream_ops stream_ops = {
	.closed = on_closed,
	.reset = on_reset,
};

static int call_connect(struct call *call, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int code;

	if (strlen(path) >= sizeof(addr.sun_path))
		return kring_error_path(call->err, -ENAMETOOLONG, path, "%s",
					strerror(ENAMETOOLONG));
	strcpy(addr.sun_path, path);
	call->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (call->fd < 0)
		return kring_error_path(call->err, -errno, path, "%s", strerror(errno));
	if (!connect(call->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return 0;
	code = kring_error_path(call->err, -errno, path, "%s", strerror(errno));
	close(call->fd);
	return code;
}

static int call_begin(struct call *call)
{
	struct kring_mux_args args = {
		.role = KRING_ROLE_HOST,
		.frame_max = KRING_STREAM_FRAME_MAX,
		.ops = &mux_ops,
		.owner = call,
	};

	call->mux = kring_mux_new(&args);
	if (!call->mux)
		return kring_error(call->err, -ENOMEM, "%s", strerror(ENOMEM));
	kring_hello_init(&call->hello, "libkring");
	if (kring_hello_say(&call->hello, call->mux))
		return kring_error(call->err, -ENOMEM, "%s", strerror(ENOMEM));
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Until @deadline at most. 0 or a negative errno. */
static int call_wait(struct call *call, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = call->fd, .events = events };
	int64_t left = deadline - now_ms();

	if (left <= 0)
		return -ETIMEDOUT;
	if (poll(&pfd, 1, left < INT_MAX ? left : INT_MAX) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int call_send(struct call *call, int64_t deadline)
{
	size_t len;
	int code;

	while ((len = kring_mux_pull(call->mux, call->frame, sizeof(call->frame)))) {
		while (send(call->fd, call->frame, len, MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return errno == EPIPE ? -ECONNRESET : -errno;
			code = call_wait(call, POLLOUT, deadline);
			if (code)
				return code;
		}
	}
	return 0;
}

/* One frame, if there is one. The multiplexer takes it: nothing waits to be pulled. */
static int call_receive(struct call *call)
{
	ssize_t len = recv(call->fd, call->frame, sizeof(call->frame), 0);

	if (!len)
		return -ECONNRESET;
	if (len > 0)
		kring_mux_receive(call->mux, call->frame, len);
	else if (errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

/* Until there is an answer, for @timeout milliseconds at most; or for less, if nobody is there. */
static int call_run(struct call *call, int64_t timeout)
{
	int64_t start = now_ms(), deadline;
	int code = 0;

	while (!code && !call->ended) {
		deadline = start + (call->hello.said ? timeout : HELLO_MS);
		code = call_send(call, deadline);
		if (!code)
			code = call_wait(call, POLLIN, deadline);
		if (!code)
			code = call_receive(call);
	}
	/* Our CLOSE, which nothing depends on. */
	if (call->ended)
		call_send(call, now_ms());
	if (call->ended)
		return call->code;
	if (code == -ETIMEDOUT)
		return kring_error(call->err, code, call->hello.said ?
				   "the guest's agent has not answered in time" :
				   "the guest's agent has not said Hello");
	return kring_error(call->err, code, "connection to the guest lost: %s", strerror(-code));
}

static int ask(const char *socket, const char *service, const ProtobufCMessage *request,
	       int64_t timeout, struct kring_error *err)
{
	struct call *call = calloc(1, sizeof(*call));
	int code;

	if (!call)
		return kring_error(err, -ENOMEM, "%s", strerror(ENOMEM));
	call->err = err;
	code = call_connect(call, socket);
	if (code)
		goto free_call;
	code = call_begin(call);
	if (code)
		goto close_fd;
	if (kring_open(call->mux, service, request, 0, &stream_ops, call))
		code = call_run(call, timeout);
	else
		code = kring_error(err, -errno, "%s: %s", service, strerror(errno));
	/* What is told from here on is nobody's answer. */
	call->err = NULL;
close_fd:
	kring_mux_free(call->mux);
	close(call->fd);
free_call:
	free(call);
	return code;
}

int kring_quiesce(const char *socket, unsigned int timeout_ms, struct kring_error *err)
{
	Kring__Quiesce request = KRING__QUIESCE__INIT;

	request.timeout = timeout_ms * 1000000ull;
	return ask(socket, "quiesce", &request.base,
		   (timeout_ms ? timeout_ms : TIMEOUT_MS) + (int64_t)THAW_MS, err);
}

int kring_thaw(const char *socket, struct kring_error *err)
{
	return ask(socket, "thaw", NULL, THAW_MS, err);
}
