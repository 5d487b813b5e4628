// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A link over a unix socket of type SOCK_SEQPACKET: between broker and client, and to
 * kringd --listen. One message is one frame.
 *
 * It is waited for by edges, so that it is like a region: who does not take what has come,
 * as it has no room for the answers, is not woken for it over and over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <kring/stream.h>

#include "link.h"

/* What may wait in the kernel: enough to keep both processes at work. */
#define SOCKET_BUFFER	(8 * KRING_STREAM_FRAME_MAX)

static int socket_send(struct link *link, const void *frame, size_t len)
{
	ssize_t n;

	do {
		n = send(link->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EPIPE ? -ECONNRESET : -errno;
}

static ssize_t socket_recv(struct link *link, void *buf, size_t size)
{
	ssize_t n;

	do {
		n = recv(link->fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* An empty message is no frame, and cannot be told from the end. */
	if (!n)
		return -ECONNRESET;
	return n <= (ssize_t)size ? n : -EMSGSIZE;
}

static const char *socket_fault(struct link *link, int code)
{
	(void)link;
	return code == -ECONNRESET ? "the other side has closed the connection" : strerror(-code);
}

static void socket_close(struct link *link)
{
	close(link->fd);
	free(link);
}

static const struct link_type socket_type = {
	.send = socket_send,
	.recv = socket_recv,
	.fault = socket_fault,
	.close = socket_close,
	.events = EPOLLIN | EPOLLOUT | EPOLLET,
};

int link_socket(struct link **link, int fd)
{
	int size = SOCKET_BUFFER;
	struct link *s;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	/* A smaller one is slower, no more. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s->type = &socket_type;
	s->fd = fd;
	s->frame_max = KRING_STREAM_FRAME_MAX;
	*link = s;
	return 0;
}

static int socket_failed(struct kring_error *err, const char *path, int code)
{
	const char *why = strerror(code);

	if (code == ENOENT)
		why = "there is no such socket: does the broker run?";
	else if (code == ECONNREFUSED)
		why = "nobody listens there: the broker does not run any more";
	else if (code == EPROTOTYPE)
		why = "a socket of another type, not that of a broker";
	else if (code == EAGAIN)
		why = "the connection was not accepted in time";
	snprintf(err->text, sizeof(err->text), "%.128s: %s", path, why);
	return -code;
}

int link_connect(struct link **link, const char *path, uint64_t timeout,
		 struct kring_error *err)
{
	struct timeval limit = { .tv_sec = timeout / 1000, .tv_usec = timeout % 1000 * 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, code;

	if (strlen(path) >= sizeof(addr.sun_path))
		return socket_failed(err, path, ENAMETOOLONG);
	strcpy(addr.sun_path, path);

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (timeout ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return socket_failed(err, path, errno);
	/* While the queue of a listener is full, connecting waits as sending does. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno == EINTR)
			continue;
		code = socket_failed(err, path, errno);
		goto close_fd;
	}
	code = link_socket(link, fd);
	if (code) {
		socket_failed(err, path, -code);
		goto close_fd;
	}
	return 0;

close_fd:
	close(fd);
	return code;
}
