/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A relay: bytes between a connected socket of the host's and channel 0 of a stream.
 *
 * Each direction ends by itself, as with any connection, and neither side is read while the
 * other does not take what was read before. When both directions have ended the stream is
 * closed; when either side breaks, the other one is broken off too.
 */
#ifndef KRING_RELAY_H
#define KRING_RELAY_H

#include <stdbool.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include <mux.h>

struct relay;

/** struct relays - those of one owner; begins zeroed */
struct relays {
	LIST_HEAD(, relay) list;
	unsigned int count;
};

/**
 * relay_start() - take over a stream and a socket
 * @relays: where it is to be listed, as long as it lives
 * @loop: event loop
 * @stream: accepted, or on the way to be
 * @fd: connected, non-blocking
 *
 * Return: 0, or a negative errno: both are still the caller's.
 */
int relay_start(struct relays *relays, sd_event *loop, struct kring_stream *stream, int fd);

/** relays_end() - break all off */
void relays_end(struct relays *relays, int error, const char *text);

#endif /* KRING_RELAY_H */
