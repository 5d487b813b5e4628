// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "listen": connections that are made in the guest, for the host. For each, a stream
 * of service "accepted" is opened, which belongs to the stream of the listener.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "log.h"
#include "quiesce.h"
#include "relay.h"
#include "services.h"
#include "stale.h"

#define BACKLOG		128

/* What a process that has no descriptors left waits before it tries again. */
#define PAUSE		100000000ull

/**
 * struct listening - one listener
 * @op: accepts, or waits
 * @agent: agent
 * @stream: NULL: it is over, and so are we when @op is done
 * @fd: socket
 * @address: where it listens
 * @made: the socket's file was made by us
 * @ino: of that file
 * @pausing: @op waits
 */
struct listening {
	struct loop_op op;
	struct agent *agent;
	struct kring_stream *stream;
	int fd;
	struct address address;
	bool made;
	ino_t ino;
	bool pausing;
};

/* An accepted connection that the host has not taken yet. */
struct accepted {
	struct loop *loop;
	int fd;
};

static const char *socket_path(const struct listening *l)
{
	const struct sockaddr_un *sa = (const struct sockaddr_un *)&l->address.sa;

	return sa->sun_family == AF_UNIX && sa->sun_path[0] ? sa->sun_path : NULL;
}

static void listening_free(struct listening *l)
{
	struct stat st;

	if (l->op.busy)
		return;
	if (l->made && !lstat(socket_path(l), &st) && st.st_ino == l->ino)
		unlink(socket_path(l));
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

static void accepted_end(struct accepted *accepted)
{
	if (accepted->fd >= 0)
		close(accepted->fd);
	free(accepted);
}

static void accepted_taken(struct kring_stream *stream, const void *reply, size_t len)
{
	struct accepted *accepted = kring_stream_owner(stream);

	(void)reply;
	(void)len;
	if (relay_start(accepted->loop, stream, accepted->fd))
		kring_reset(stream, ENOMEM, "accept", "%s", strerror(ENOMEM));
	else
		accepted->fd = -1;
	accepted_end(accepted);
}

static void accepted_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	accepted_end(kring_stream_owner(stream));
}

static const struct kring_stream_ops accepted_ops = {
	.accepted = accepted_taken,
	.reset = accepted_reset,
};

/* Offers a connection to the host. */
static int offer(struct listening *l, int fd)
{
	struct kring_open_args args = {
		.service = "accepted",
		.parent = kring_stream_number(l->stream),
		.channels = 1 << 0,
		.ops = &accepted_ops,
	};
	struct accepted *accepted;
	struct kring_stream *stream;

	if (!agent_may_open(l->agent))
		return -EAGAIN;
	accepted = malloc(sizeof(*accepted));
	if (!accepted)
		return -ENOMEM;
	accepted->loop = &l->agent->loop;
	accepted->fd = fd;
	args.owner = accepted;
	stream = kring_open_with(l->agent->mux, &args);
	if (!stream) {
		free(accepted);
		return -ENOMEM;
	}
	quiesce_opened(l->agent, stream);
	return 0;
}

static void accept_next(struct listening *l)
{
	l->pausing = false;
	loop_accept(&l->agent->loop, &l->op, l->fd);
}

static void listening_fail(struct listening *l, int code)
{
	char text[ADDRESS_TEXT];

	kring_reset(l->stream, -code, "accept", "%s: %s", address_text(&l->address, text),
		    strerror(-code));
	l->stream = NULL;
	listening_free(l);
}

static void accept_done(struct loop_op *op, int result)
{
	struct listening *l = (struct listening *)((char *)op - offsetof(struct listening, op));

	if (!l->stream) {
		if (result >= 0 && !l->pausing)
			close(result);
		listening_free(l);
		return;
	}
	if (!l->pausing && result >= 0 && offer(l, result))
		close(result);
	switch (l->pausing ? 0 : result) {
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		l->pausing = true;
		loop_timeout(&l->agent->loop, &l->op, PAUSE);
		return;
	case -EBADF:
	case -EINVAL:
	case -ENOTSOCK:
	case -EOPNOTSUPP:
		listening_fail(l, result);
		return;
	}
	/* All else is about a connection that has gone again. */
	accept_next(l);
}

static void listening_end(struct listening *l)
{
	l->stream = NULL;
	loop_cancel(&l->agent->loop, &l->op);
	listening_free(l);
}

static void listening_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	listening_end(kring_stream_owner(stream));
}

static void listening_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	listening_end(kring_stream_owner(stream));
	kring_close(stream, NULL);
}

static const struct kring_stream_ops listening_ops = {
	.closed = listening_closed,
	.reset = listening_reset,
};

static int bind_unix(struct listening *l)
{
	const struct sockaddr *sa = (const struct sockaddr *)&l->address.sa;
	const char *path = socket_path(l);
	struct stat st;
	mode_t mask;
	int code;

	/* As with ssh: for other users to connect is for them to be given access. */
	mask = umask(0177);
	code = bind(l->fd, sa, l->address.len) ? -errno : 0;
	if (code == -EADDRINUSE && path && stale_socket(path, SOCK_STREAM) && !unlink(path))
		code = bind(l->fd, sa, l->address.len) ? -errno : 0;
	umask(mask);
	if (!code && path && !lstat(path, &st)) {
		l->made = true;
		l->ino = st.st_ino;
	}
	return code;
}

static int start_listening(struct listening *l)
{
	int family = l->address.sa.ss_family;
	int yes = 1;
	int code;

	/* It may block: the ring would not wait otherwise. */
	l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	if (family == AF_UNIX) {
		code = bind_unix(l);
		if (code)
			return code;
	} else {
		setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		if (bind(l->fd, (struct sockaddr *)&l->address.sa, l->address.len))
			return -errno;
	}
	if (listen(l->fd, BACKLOG))
		return -errno;
	/* The port, where any would do. */
	l->address.len = sizeof(l->address.sa);
	if (getsockname(l->fd, (struct sockaddr *)&l->address.sa, &l->address.len))
		return -errno;
	return 0;
}

static int resolve(struct address *address, const Kring__Listen *request)
{
	struct addresses addresses;
	int code = -EINVAL;

	if (request->where_case == KRING__LISTEN__WHERE_TCP)
		code = addresses_tcp(&addresses, request->tcp, true);
	else if (request->where_case == KRING__LISTEN__WHERE_PATH)
		code = addresses_unix(&addresses, request->path.data, request->path.len);
	if (!code)
		*address = addresses.list[0];
	return code;
}

static void listen_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct listening *l = calloc(1, sizeof(*l));
	Kring__Listening reply = KRING__LISTENING__INIT;
	char text[ADDRESS_TEXT] = "address";
	int code;

	if (!l) {
		kring_reset(stream, ENOMEM, "listen", "%s", strerror(ENOMEM));
		return;
	}
	l->op.done = accept_done;
	l->agent = agent;
	l->stream = stream;
	l->fd = -1;
	code = resolve(&l->address, request);
	if (!code) {
		address_text(&l->address, text);
		code = start_listening(l);
	}
	if (!code) {
		address_text(&l->address, text);
		reply.address = text;
		code = kring_accept(stream, &reply.base, 0);
	}
	if (code) {
		kring_reset(stream, -code, "listen", "%s: %s", text, strerror(-code));
		listening_free(l);
		return;
	}
	log_info("listening on %s for the host", text);
	kring_stream_set_ops(stream, &listening_ops, l);
	accept_next(l);
}

const struct service service_listen = {
	.name = "listen",
	.request = &kring__listen__descriptor,
	.open = listen_open,
};
