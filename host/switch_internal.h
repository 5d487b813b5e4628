/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What switch.c and switch_ring.c share.
 */
#ifndef KRING_SWITCH_INTERNAL_H
#define KRING_SWITCH_INTERNAL_H

#include "frame.h"
#include "switch.h"

/* Of hash tables. A power of two. */
#define SWITCH_CHAINS	1024

LIST_HEAD(switch_chain, switch_stream);

/**
 * struct switchboard - the switch
 * @args: limits
 * @down: why nothing can be opened, or NULL
 * @stats: counters
 * @ending: streams that are over, and that the guest is to be told of
 * @by_ring: streams by their number on the ring
 * @by_port: those that have a client, by its number for them
 */
struct switchboard {
	struct switch_args args;
	const char *down;
	struct switch_stats stats;
	struct switch_streams ending;
	struct switch_chain by_ring[SWITCH_CHAINS];
	struct switch_chain by_port[SWITCH_CHAINS];
};

/* switch.c */
struct switch_stream *switch_find_ring(struct switchboard *sb, uint32_t ring);
struct switch_stream *switch_find_port(struct switchboard *sb, const struct switch_port *port,
				       uint32_t number);
struct switch_stream *switch_add(struct switchboard *sb, struct switch_port *port,
				 uint32_t ring, uint32_t number);
void switch_remove(struct switchboard *sb, struct switch_stream *s);
void switch_forget(struct switchboard *sb, struct switch_stream *s);
void switch_end(struct switchboard *sb, struct switch_stream *s, int error, const char *text);
void switch_event(struct switchboard *sb, const struct switch_stream *s,
		  enum switch_event event, const char *text);
bool switch_full(const struct switchboard *sb, const struct switch_port *port);

/* switch_ring.c */

/* What is wrong with a header, or NULL. */
const char *switch_frame_fault(const struct frame *f);

/* Open.service, printable, from the first frame of the message; empty where there is none. */
void switch_service(const uint8_t *message, size_t len, char service[SWITCH_SERVICE]);

#endif /* KRING_SWITCH_INTERNAL_H */
