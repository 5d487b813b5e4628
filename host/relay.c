// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Bytes between a connected socket and channel 0 of a stream.
 *
 * Bytes are read straight into the stream's queue and written straight from it, so none is
 * ever only here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <message.h>

#include "relay.h"

/* Bytes for one read, and for one turn, before other sources have theirs. */
#define READ_SIZE	(64 << 10)
#define TURN_SIZE	(256 << 10)

/**
 * struct relay - one connection
 * @link: in its owner's list
 * @relays: that list
 * @stream: the guest's side
 * @fd: the host's side
 * @io: source of @fd
 * @fd_ended: nothing more comes from @fd
 * @stream_ended: nothing more comes from @stream, and @fd knows
 */
struct relay {
	LIST_ENTRY(relay) link;
	struct relays *relays;
	struct kring_stream *stream;
	int fd;
	sd_event_source *io;
	bool fd_ended;
	bool stream_ended;
};

static void relay_free(struct relay *relay)
{
	LIST_REMOVE(relay, link);
	relay->relays->count--;
	sd_event_source_disable_unref(relay->io);
	close(relay->fd);
	free(relay);
}

/* Whoever has the other end of the socket learns that it did not end well, if it can be told. */
static void relay_break_socket(struct relay *relay)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(relay->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	relay_free(relay);
}

static void relay_fail(struct relay *relay, int error)
{
	kring_reset(relay->stream, error, "relay", "the host's connection: %s", strerror(error));
	relay_break_socket(relay);
}

static void relay_watch(struct relay *relay, uint32_t events)
{
	uint32_t before = 0;

	/* Without events it would still be told of a hang-up, again and again. */
	if (!events) {
		sd_event_source_set_enabled(relay->io, SD_EVENT_OFF);
		return;
	}
	sd_event_source_get_io_events(relay->io, &before);
	if (before != events)
		sd_event_source_set_io_events(relay->io, events);
	sd_event_source_set_enabled(relay->io, SD_EVENT_ON);
}

/* From the socket to the guest. 0: wait for the socket, 1: for room, or a negative errno. */
static int relay_read(struct relay *relay)
{
	size_t room, turn = 0;
	int code = 0;
	ssize_t n;
	void *at;

	while (!code && turn < TURN_SIZE) {
		room = kring_stream_reserve(relay->stream, 0, READ_SIZE, &at);
		if (!room)
			return 1;
		n = recv(relay->fd, at, room, MSG_DONTWAIT);
		code = n < 0 ? -errno : 0;
		kring_stream_commit(relay->stream, 0, n > 0 ? n : 0);
		if (!n) {
			relay->fd_ended = true;
			kring_stream_eof(relay->stream, 0);
			return 1;
		}
		turn += n > 0 ? n : 0;
	}
	return code == -EAGAIN || code == -EINTR ? 0 : code;
}

/* From the guest to the socket. 0: wait for the guest, 1: for the socket, or an errno. */
static int relay_write(struct relay *relay)
{
	const void *at;
	size_t len;
	ssize_t n;

	while ((len = kring_stream_peek(relay->stream, 0, &at))) {
		n = send(relay->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : -errno;
		kring_stream_consume(relay->stream, 0, n);
	}
	if (kring_stream_ended(relay->stream, 0)) {
		/* It may be gone already, and then this is no news. */
		shutdown(relay->fd, SHUT_WR);
		relay->stream_ended = true;
	}
	return 0;
}

/* Whatever can go on goes on. @relay may be gone afterwards. */
static void relay_move(struct relay *relay)
{
	uint32_t events = 0;
	int code = 0;

	if (!relay->stream_ended)
		code = relay_write(relay);
	if (code == 1)
		events |= EPOLLOUT;
	if (code >= 0 && !relay->fd_ended) {
		code = relay_read(relay);
		if (!code)
			events |= EPOLLIN;
	}
	if (code < 0) {
		relay_fail(relay, -code);
		return;
	}
	if (relay->fd_ended && relay->stream_ended) {
		kring_stream_close(relay->stream, NULL, 0);
		relay_free(relay);
		return;
	}
	relay_watch(relay, events);
}

static int relay_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source;
	(void)fd;
	(void)revents;
	relay_move(userdata);
	return 0;
}

static void relay_on_stream(struct kring_stream *stream, unsigned int channel)
{
	struct relay *relay = kring_stream_owner(stream);

	/* Not from within the multiplexer: it may just be pulling. */
	if (!channel)
		relay_watch(relay, EPOLLIN | EPOLLOUT);
}

/* All that came has been written, and nobody wants what we still have. */
static void relay_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct relay *relay = kring_stream_owner(stream);

	(void)result;
	(void)len;
	kring_stream_close(stream, NULL, 0);
	relay_free(relay);
}

static void relay_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	relay_break_socket(kring_stream_owner(stream));
}

static const struct kring_stream_ops relay_ops = {
	.readable = relay_on_stream,
	.writable = relay_on_stream,
	.closed = relay_on_closed,
	.reset = relay_on_reset,
};

int relay_start(struct relays *relays, sd_event *loop, struct kring_stream *stream, int fd)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int code;

	if (!relay)
		return -ENOMEM;
	relay->relays = relays;
	relay->stream = stream;
	relay->fd = fd;
	code = sd_event_add_io(loop, &relay->io, fd, EPOLLIN | EPOLLOUT, relay_on_io, relay);
	if (code < 0) {
		free(relay);
		return code;
	}
	LIST_INSERT_HEAD(&relays->list, relay, link);
	relays->count++;
	kring_stream_set_ops(stream, &relay_ops, relay);
	return 0;
}

void relays_end(struct relays *relays, int error, const char *text)
{
	struct relay *relay;

	while ((relay = LIST_FIRST(&relays->list))) {
		kring_reset(relay->stream, error, "relay", "%s", text);
		relay_break_socket(relay);
	}
}
