// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Firecracker's hybrid vsock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <message.h>

#include "listener.h"
#include "vsock_uds.h"

/* "CONNECT 4294967295\n" is not longer, and Firecracker takes no more either. */
#define LINE_MAX_BYTES	32
#define LINE_USEC	10000000

/* Firecracker counts host ports up from here. */
#define PORT_FIRST	0x40000000U

/**
 * struct vsock_conn - a connection of the host's, until it is connected to the guest
 * @link: in the list of all
 * @vsock: whose
 * @fd: it
 * @io: waits for the line, and then for the program to go
 * @timer: until when
 * @line: what came of it
 * @len: bytes
 * @port: number to say after OK
 * @stream: to the guest, once the line is there
 */
struct vsock_conn {
	LIST_ENTRY(vsock_conn) link;
	struct vsock_uds *vsock;
	int fd;
	sd_event_source *io;
	sd_event_source *timer;
	char line[LINE_MAX_BYTES];
	size_t len;
	uint32_t port;
	struct kring_stream *stream;
};

/**
 * struct vsock_uds - the socket
 * @args: what it is to be
 * @listener: on it
 * @conns: those that are not connected yet
 * @next_port: for the next one
 */
struct vsock_uds {
	struct vsock_uds_args args;
	struct listener *listener;
	LIST_HEAD(, vsock_conn) conns;
	uint32_t next_port;
};

/* Leaves @fd and the stream alone. */
static void conn_free(struct vsock_conn *conn)
{
	LIST_REMOVE(conn, link);
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->timer);
	free(conn);
}

static void conn_close(struct vsock_conn *conn)
{
	int fd = conn->fd;

	conn_free(conn);
	close(fd);
}

/* Only digits, and no more than a u32 has. */
static bool parse_port(const char *text, uint32_t *port)
{
	uint64_t value = 0;
	const char *c;

	for (c = text; *c >= '0' && *c <= '9' && value <= UINT32_MAX; c++)
		value = value * 10 + (*c - '0');
	*port = value;
	return c > text && !*c && value <= UINT32_MAX;
}

static void conn_on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct vsock_conn *conn = kring_stream_owner(stream);
	struct vsock_uds *vsock = conn->vsock;
	int fd = conn->fd, n;
	char ok[32];

	(void)reply;
	(void)len;
	n = snprintf(ok, sizeof(ok), "OK %u\n", conn->port);
	conn_free(conn);
	/* Its buffer is empty yet: it takes all, or nobody is there. */
	if (send(fd, ok, n, MSG_DONTWAIT | MSG_NOSIGNAL) != n ||
	    relay_start(&vsock->args.dials->relays, vsock->args.dials->loop, stream, fd)) {
		kring_reset(stream, ECONNRESET, "vsock", "the host's program has gone");
		close(fd);
	}
}

static void conn_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	conn_close(kring_stream_owner(stream));
	kring_stream_close(stream, NULL, 0);
}

static void conn_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	conn_close(kring_stream_owner(stream));
}

static const struct kring_stream_ops conn_ops = {
	.accepted = conn_on_accepted,
	.closed = conn_on_closed,
	.reset = conn_on_reset,
};

/* The line is there; what follows it stays in the socket, for the relay. */
static void conn_open(struct vsock_conn *conn, uint32_t port)
{
	Kring__Connect connect = KRING__CONNECT__INIT;

	connect.where_case = KRING__CONNECT__WHERE_VSOCK;
	connect.vsock = port;
	/* A guest need not answer: whoever has waited and gone must not be kept for it. */
	sd_event_source_set_io_events(conn->io, 0);
	conn->timer = sd_event_source_disable_unref(conn->timer);
	conn->stream = kring_open(conn->vsock->args.mux, "connect", &connect.base, 1 << 0,
				  &conn_ops, conn);
	if (!conn->stream)
		conn_close(conn);
}

static bool vsock_is_ready(const struct vsock_uds *vsock)
{
	return !vsock->args.ready || *vsock->args.ready;
}

/* Not a byte more than the line is taken: a program need not wait for the OK. */
static int conn_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct vsock_conn *conn = userdata;
	size_t room = sizeof(conn->line) - 1 - conn->len;
	uint32_t port;
	ssize_t n;
	char *end;

	(void)source;
	(void)revents;
	if (conn->stream) {
		kring_reset(conn->stream, ECONNRESET, "vsock", "the host's program has gone");
		conn_close(conn);
		return 0;
	}
	n = recv(fd, conn->line + conn->len, room, MSG_DONTWAIT | MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		conn_close(conn);
		return 0;
	}
	end = memchr(conn->line + conn->len, '\n', n);
	if (end)
		n = end + 1 - (conn->line + conn->len);
	if (recv(fd, conn->line + conn->len, n, MSG_DONTWAIT) != n) {
		conn_close(conn);
		return 0;
	}
	conn->len += n;
	if (!end) {
		if (conn->len == sizeof(conn->line) - 1)
			conn_close(conn);
		return 0;
	}
	*end = '\0';
	if (strncmp(conn->line, "CONNECT ", 8) || !parse_port(conn->line + 8, &port) ||
	    !vsock_is_ready(conn->vsock))
		conn_close(conn);
	else
		conn_open(conn, port);
	return 0;
}

static int conn_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	conn_close(userdata);
	return 0;
}

static void vsock_on_accepted(int fd, void *owner)
{
	struct vsock_uds *vsock = owner;
	struct vsock_conn *conn = calloc(1, sizeof(*conn));
	sd_event *loop = vsock->args.dials->loop;

	if (!conn) {
		close(fd);
		return;
	}
	conn->vsock = vsock;
	conn->fd = fd;
	conn->port = vsock->next_port++;
	LIST_INSERT_HEAD(&vsock->conns, conn, link);
	if (sd_event_add_io(loop, &conn->io, fd, EPOLLIN, conn_on_io, conn) < 0 ||
	    sd_event_add_time_relative(loop, &conn->timer, CLOCK_MONOTONIC, LINE_USEC, 0,
				       conn_on_timer, conn) < 0)
		conn_close(conn);
}

bool vsock_uds_target(const struct vsock_uds *vsock, const char *name, struct target *target)
{
	struct kring_error err;
	char path[256];
	uint32_t port;

	if (strncmp(name, "vsock:", 6) || !parse_port(name + 6, &port))
		return false;
	snprintf(path, sizeof(path), "%.200s_%u", vsock->args.path, port);
	return !target_unix(target, path, &err);
}

int vsock_uds_new(struct vsock_uds **made, const struct vsock_uds_args *args,
		  struct kring_error *err)
{
	struct vsock_uds *vsock = calloc(1, sizeof(*vsock));
	int code;

	if (!vsock) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	vsock->args = *args;
	vsock->next_port = PORT_FIRST;
	LIST_INIT(&vsock->conns);
	code = listener_unix(&vsock->listener, args->dials->loop, SOCK_STREAM, args->path,
			     vsock_on_accepted, vsock, err);
	if (code) {
		free(vsock);
		return code;
	}
	*made = vsock;
	return 0;
}

void vsock_uds_free(struct vsock_uds *vsock)
{
	struct vsock_conn *conn;

	if (!vsock)
		return;
	listener_close(vsock->listener);
	while ((conn = LIST_FIRST(&vsock->conns))) {
		if (conn->stream)
			kring_stream_reset(conn->stream, NULL, 0);
		conn_close(conn);
	}
	free(vsock);
}
