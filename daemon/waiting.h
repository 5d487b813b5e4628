/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Streams of a quiesced guest: those that are held, and those that wait to begin.
 */
#ifndef KRINGD_WAITING_H
#define KRINGD_WAITING_H

#include "agent.h"

/*
 * The host has opened @stream, with that encoded Open: it begins with waiting_release(). Or it is
 * reset, as too many wait already.
 */
void waiting_add(struct kring_stream *stream, const void *open, size_t len);

/* Nothing of any stream is sent, but of @but. */
void waiting_hold(struct agent *agent, const struct kring_stream *but);

/* All go on, and those begin that wait, in the order in which they came. */
void waiting_release(struct agent *agent);

#endif /* KRINGD_WAITING_H */
