/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A connected socket and channel 0 of a stream, made one.
 */
#ifndef KRINGD_RELAY_H
#define KRINGD_RELAY_H

#include <mux.h>

#include "loop.h"

/**
 * relay_start() - carry bytes both ways, until both have ended
 * @loop: event loop
 * @stream: accepted
 * @fd: connected socket
 *
 * With success, both are the relay's, which ends by itself. What ends one way goes on the
 * other way; what breaks one of the two breaks the other.
 *
 * Return: 0 or -ENOMEM.
 */
int relay_start(struct loop *loop, struct kring_stream *stream, int fd);

#endif /* KRINGD_RELAY_H */
