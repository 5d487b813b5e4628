/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What switch.c, switch_ring.c and switch_resume.c share.
 */
#ifndef KRING_SWITCH_INTERNAL_H
#define KRING_SWITCH_INTERNAL_H

#include "frame.h"
#include "switch.h"
#include "switch_resume.h"

/* Of hash tables. A power of two. */
#define SWITCH_CHAINS	1024

LIST_HEAD(switch_chain, switch_stream);

/**
 * struct switch_ends - what both ends have of a stream that is going to go on
 * @guest: as the guest has said, in the ring's numbers
 * @client: as its client has said, in that one's
 */
struct switch_ends {
	struct kring_resume guest;
	struct kring_resume client;
};

/**
 * struct switchboard - the switch
 * @args: limits
 * @down: why nothing can be opened, or NULL
 * @stats: counters
 * @ending: streams that are over, and that the guest is to be told of
 * @orphans: streams that wait for their client
 * @by_ring: streams by their number on the ring
 * @by_port: those that have a client, by its number for them
 * @by_token: those that wait for one
 */
struct switchboard {
	struct switch_args args;
	const char *down;
	struct switch_stats stats;
	struct switch_streams ending;
	struct switch_streams orphans;
	struct switch_chain by_ring[SWITCH_CHAINS];
	struct switch_chain by_port[SWITCH_CHAINS];
	struct switch_chain by_token[SWITCH_CHAINS];
};

/* Whether it waits for a client. */
static inline bool switch_is_orphan(const struct switch_stream *s)
{
	return !s->port && s->ends;
}

/* switch.c */
struct switch_stream *switch_find_ring(struct switchboard *sb, uint32_t ring);
struct switch_stream *switch_find_port(struct switchboard *sb, const struct switch_port *port,
				       uint32_t number);
struct switch_stream *switch_add(struct switchboard *sb, struct switch_port *port,
				 uint32_t ring, uint32_t number);
void switch_join(struct switchboard *sb, struct switch_stream *s, struct switch_port *port,
		 uint32_t number);
void switch_remove(struct switchboard *sb, struct switch_stream *s);
void switch_forget(struct switchboard *sb, struct switch_stream *s);
void switch_end(struct switchboard *sb, struct switch_stream *s, int error, const char *text);
void switch_event(struct switchboard *sb, const struct switch_stream *s,
		  enum switch_event event, const char *text);
bool switch_full(const struct switchboard *sb, const struct switch_port *port);
struct switch_chain *switch_ring_chain(struct switchboard *sb, uint32_t ring);

/* switch_ring.c */

/* What is wrong with a header, or NULL. */
const char *switch_frame_fault(const struct frame *f);

/* Open.service, printable, from the first frame of the message; empty where there is none. */
void switch_service(const uint8_t *message, size_t len, char service[SWITCH_SERVICE]);

/* switch_resume.c */

/* It waits no longer: out of the list and the table of those that do. */
void switch_orphan_leave(struct switchboard *sb, struct switch_stream *s);

#endif /* KRING_SWITCH_INTERNAL_H */
