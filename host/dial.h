/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Answering a stream that the guest has opened with a connection of the host's.
 */
#ifndef KRING_DIAL_H
#define KRING_DIAL_H

#include <sys/queue.h>

#include <mux.h>

#include "relay.h"
#include "target.h"

LIST_HEAD(dial_list, dial);

/**
 * struct dials - those of one owner; begins with @loop, the rest zeroed
 * @loop: event loop
 * @pending: connections that are being established
 * @relays: those that are
 */
struct dials {
	sd_event *loop;
	struct dial_list pending;
	struct relays relays;
};

/*
 * Connect @stream, which is not accepted yet, to @target, which stays the caller's: accept and
 * relay, or refuse with the reason.
 */
void dial(struct dials *dials, struct kring_stream *stream, const struct target *target);

/* Break all off. */
void dials_end(struct dials *dials, int error, const char *text);

#endif /* KRING_DIAL_H */
