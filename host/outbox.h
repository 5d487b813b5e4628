/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Frames on their way to a client of the broker, while its socket takes no more.
 *
 * What the client has given credit for is bounded by that. Everything else is small, and a
 * client that lets too much of it pile up does not read at all.
 */
#ifndef KRING_OUTBOX_H
#define KRING_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct outbox_frame;

/**
 * struct outbox - a queue of frames
 * @frames: oldest first
 * @memory: bytes that all of them take
 * @uncredited: bytes of those that no credit was given for
 */
struct outbox {
	STAILQ_HEAD(, outbox_frame) frames;
	size_t memory;
	size_t uncredited;
};

/* A few messages of the largest size, and many small ones. */
#define OUTBOX_UNCREDITED_MAX	(8 << 20)

void outbox_init(struct outbox *box);
void outbox_clear(struct outbox *box);
bool outbox_empty(const struct outbox *box);

/**
 * outbox_send() - send a frame, or keep it to be sent later
 * @box: queue
 * @fd: SOCK_SEQPACKET socket
 * @frame: it
 * @len: its bytes
 * @credited: the client has given credit for it
 *
 * Return: 0; -EOVERFLOW: too much waits; -ENOMEM; or what the socket says.
 */
int outbox_send(struct outbox *box, int fd, const void *frame, size_t len, bool credited);

/** outbox_flush() - send what waits; 0: all; -EAGAIN: not all; or what the socket says */
int outbox_flush(struct outbox *box, int fd);

#endif /* KRING_OUTBOX_H */
