// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A connected socket and channel 0 of a stream, made one.
 *
 * There is no buffer here: bytes are received straight into the stream as far as it has
 * room, and sent straight out of it. So the socket is not read while the host does not take
 * its bytes, and the host has no credit while the socket does not take any.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <message.h>

#include "relay.h"

#define CHUNK	65536

/**
 * struct relay - one of them
 * @loop: event loop
 * @stream: NULL: it is over, and so are we as soon as nothing is under way
 * @fd: socket
 * @in_ended: nothing more comes from the socket
 * @out_ended: nothing more goes to the socket
 * @deaf: the socket takes nothing any more, but may still have something to say
 * @in: waits for bytes
 * @out: waits for room
 */
struct relay {
	struct loop *loop;
	struct kring_stream *stream;
	int fd;
	bool in_ended;
	bool out_ended;
	bool deaf;
	struct loop_op in;
	struct loop_op out;
};

static void relay_free(struct relay *relay)
{
	if (relay->in.busy || relay->out.busy)
		return;
	close(relay->fd);
	free(relay);
}

static void relay_end(struct relay *relay)
{
	relay->stream = NULL;
	loop_cancel(relay->loop, &relay->in);
	loop_cancel(relay->loop, &relay->out);
	relay_free(relay);
}

/* The stream broke off, so the connection must not look as if it had ended well. */
static void relay_abort(struct relay *relay)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(relay->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	relay_end(relay);
}

static void relay_fail(struct relay *relay, const char *step)
{
	kring_reset(relay->stream, errno, step, "connection in the guest: %s", strerror(errno));
	relay_end(relay);
}

/* True when that was the end of it. */
static bool relay_finish(struct relay *relay)
{
	if (!relay->in_ended || !relay->out_ended)
		return false;
	kring_close(relay->stream, NULL);
	relay_end(relay);
	return true;
}

/* Only where there is room, or a socket that has bytes would keep us busy. */
static void relay_wait_in(struct relay *relay)
{
	if (!relay->in_ended && !relay->in.busy && kring_stream_room(relay->stream, 0))
		loop_poll(relay->loop, &relay->in, relay->fd, POLLIN);
}

static void relay_in(struct relay *relay)
{
	ssize_t n = 0;
	size_t size;
	void *at;

	do {
		size = kring_stream_reserve(relay->stream, 0, CHUNK, &at);
		/* It will be writable; or there is no memory now, and poll tells again. */
		if (!size)
			break;
		n = recv(relay->fd, at, size, MSG_DONTWAIT);
		kring_stream_commit(relay->stream, 0, n > 0 ? n : 0);
	} while (n == (ssize_t)size || (n < 0 && errno == EINTR));

	if (n < 0 && errno != EAGAIN) {
		relay_fail(relay, "read");
		return;
	}
	if (!n && size) {
		kring_stream_eof(relay->stream, 0);
		relay->in_ended = true;
		if (relay_finish(relay))
			return;
	}
	relay_wait_in(relay);
}

/* Return: 0, -EAGAIN: it takes nothing now, or -errno. */
static int relay_send(struct relay *relay)
{
	const void *at;
	size_t size;
	ssize_t n;

	while ((size = kring_stream_peek(relay->stream, 0, &at))) {
		n = size;
		if (!relay->deaf)
			n = send(relay->fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			kring_stream_consume(relay->stream, 0, n);
		else if (errno == EPIPE)
			relay->deaf = true;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static void relay_out(struct relay *relay)
{
	int code = relay_send(relay);

	if (code == -EAGAIN) {
		loop_poll(relay->loop, &relay->out, relay->fd, POLLOUT);
		return;
	}
	if (code) {
		errno = -code;
		relay_fail(relay, "write");
		return;
	}
	if (!kring_stream_ended(relay->stream, 0) || relay->out_ended)
		return;
	relay->out_ended = true;
	shutdown(relay->fd, SHUT_WR);
	relay_finish(relay);
}

static void relay_in_done(struct loop_op *op, int result)
{
	struct relay *relay = (struct relay *)((char *)op - offsetof(struct relay, in));

	(void)result;
	if (relay->stream)
		relay_in(relay);
	else
		relay_free(relay);
}

static void relay_out_done(struct loop_op *op, int result)
{
	struct relay *relay = (struct relay *)((char *)op - offsetof(struct relay, out));

	(void)result;
	if (relay->stream)
		relay_out(relay);
	else
		relay_free(relay);
}

static void relay_readable(struct kring_stream *stream, unsigned int channel)
{
	struct relay *relay = kring_stream_owner(stream);

	if (!channel && !relay->out.busy)
		relay_out(relay);
}

static void relay_writable(struct kring_stream *stream, unsigned int channel)
{
	if (!channel)
		relay_wait_in(kring_stream_owner(stream));
}

static void relay_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	relay_abort(kring_stream_owner(stream));
}

static const struct kring_stream_ops relay_ops = {
	.readable = relay_readable,
	.writable = relay_writable,
	.reset = relay_reset,
};

int relay_start(struct loop *loop, struct kring_stream *stream, int fd)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return -ENOMEM;
	relay->loop = loop;
	relay->stream = stream;
	relay->fd = fd;
	relay->in.done = relay_in_done;
	relay->out.done = relay_out_done;
	kring_stream_set_ops(stream, &relay_ops, relay);
	relay_wait_in(relay);
	/* Of what came with the OPEN nobody tells us. */
	relay_out(relay);
	return 0;
}
