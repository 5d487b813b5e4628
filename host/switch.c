// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's switch: the table of streams, how they begin and end, and frames of clients.
 * Those of the guest are in switch_ring.c, and what goes on over another connection is in
 * switch_resume.c.
 *
 * Each stream is in two hash tables, as its frames come with the number of either side. A
 * stream whose client has gone, or that broke the rules, stays in that of the ring until the
 * guest has been told: what still comes for it is dropped, and it counts against the limit. So
 * does one that waits for its client.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switch_internal.h"

/* Refused OPENs of one client that are being swallowed. */
#define REFUSED_MAX	64

struct switch_chain *switch_ring_chain(struct switchboard *sb, uint32_t ring)
{
	return &sb->by_ring[ring >> 1 & (SWITCH_CHAINS - 1)];
}

static struct switch_chain *port_chain(struct switchboard *sb, const struct switch_port *port,
				       uint32_t number)
{
	return &sb->by_port[((uintptr_t)port >> 4 ^ number >> 1) & (SWITCH_CHAINS - 1)];
}

struct switch_stream *switch_find_ring(struct switchboard *sb, uint32_t ring)
{
	struct switch_stream *s;

	LIST_FOREACH(s, switch_ring_chain(sb, ring), by_ring)
		if (s->ring == ring)
			break;
	return s;
}

struct switch_stream *switch_find_port(struct switchboard *sb, const struct switch_port *port,
				       uint32_t number)
{
	struct switch_stream *s;

	LIST_FOREACH(s, port_chain(sb, port, number), by_port)
		if (s->port == port && s->number == number)
			break;
	return s;
}

struct switchboard *switch_new(const struct switch_args *args)
{
	struct switchboard *sb = calloc(1, sizeof(*sb));

	if (!sb)
		return NULL;
	sb->args = *args;
	TAILQ_INIT(&sb->ending);
	TAILQ_INIT(&sb->orphans);
	return sb;
}

void switch_free(struct switchboard *sb)
{
	struct switch_stream *s;

	if (!sb)
		return;
	while ((s = TAILQ_FIRST(&sb->orphans)))
		switch_remove(sb, s);
	while ((s = TAILQ_FIRST(&sb->ending)))
		switch_remove(sb, s);
	free(sb);
}

void switch_stats(const struct switchboard *sb, struct switch_stats *stats)
{
	*stats = sb->stats;
}

void switch_each(const struct switchboard *sb,
		 void (*each)(void *owner, const struct switch_stream *stream), void *owner)
{
	const struct switch_stream *s;
	unsigned int i;

	for (i = 0; i < SWITCH_CHAINS; i++)
		LIST_FOREACH(s, &sb->by_ring[i], by_ring)
			if (s->port && !s->refused)
				each(owner, s);
}

void switch_set_down(struct switchboard *sb, const char *why)
{
	sb->down = why;
}

void switch_event(struct switchboard *sb, const struct switch_stream *s,
		  enum switch_event event, const char *text)
{
	switch (event) {
	case SWITCH_OPENED:
		sb->stats.opened++;
		break;
	case SWITCH_RESUMED:
		sb->stats.resumed++;
		break;
	case SWITCH_PARKED:
		sb->stats.parked++;
		break;
	case SWITCH_CLOSED:
		sb->stats.closed++;
		break;
	case SWITCH_RESET:
		sb->stats.reset++;
		break;
	}
	if (sb->args.ops->event)
		sb->args.ops->event(sb->args.owner, s, event, text);
}

struct switch_stream *switch_add(struct switchboard *sb, struct switch_port *port,
				 uint32_t ring, uint32_t number)
{
	struct switch_stream *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		return NULL;
	s->ring = ring;
	for (i = 0; i < SWITCH_CHANNELS; i++)
		s->channels[i].limit = KRING_STREAM_WINDOW;
	LIST_INSERT_HEAD(switch_ring_chain(sb, ring), s, by_ring);
	sb->stats.streams++;
	switch_join(sb, s, port, number);
	return s;
}

/* It is that client's from now on, as @number. */
void switch_join(struct switchboard *sb, struct switch_stream *s, struct switch_port *port,
		 uint32_t number)
{
	s->port = port;
	s->number = number;
	LIST_INSERT_HEAD(port_chain(sb, port, number), s, by_port);
	TAILQ_INSERT_TAIL(&port->streams, s, link);
	port->count++;
}

static void leave_port(struct switch_stream *s)
{
	LIST_REMOVE(s, by_port);
	TAILQ_REMOVE(&s->port->streams, s, link);
	s->port->count--;
	if (s->refused)
		s->port->refused--;
	s->port = NULL;
	free(s->ends);
	s->ends = NULL;
}

/* It is over for both sides, or about to be: the last frame is on its way. */
void switch_remove(struct switchboard *sb, struct switch_stream *s)
{
	if (s->port)
		leave_port(s);
	else if (switch_is_orphan(s))
		switch_orphan_leave(sb, s);
	else
		TAILQ_REMOVE(&sb->ending, s, link);
	LIST_REMOVE(s, by_ring);
	sb->stats.streams--;
	free(s->ends);
	free(s);
}

/* The number of an OPEN that is swallowed, to its end. */
static struct switch_stream *add_refused(struct switchboard *sb, struct switch_port *port,
					 uint32_t number)
{
	/* 0 is nobody's number on the ring. */
	struct switch_stream *s = switch_add(sb, port, 0, number);

	if (!s)
		return NULL;
	s->refused = true;
	port->refused++;
	return s;
}

/* Whether the rest of a client's OPEN is on its way. */
static bool rest_comes(const struct switch_stream *s)
{
	return s->opening && !s->from_guest && !s->refused;
}

/*
 * The guest has ended it, or has gone. The rest of its OPEN must not be taken for an OPEN of
 * its own, whatever is in it.
 */
void switch_forget(struct switchboard *sb, struct switch_stream *s)
{
	struct switch_port *port = s->port;
	uint32_t number = s->number;
	bool rest = rest_comes(s);

	switch_remove(sb, s);
	if (rest)
		add_refused(sb, port, number);
}

/* It is over for the client, and the guest has yet to be told. */
void switch_end(struct switchboard *sb, struct switch_stream *s, int error, const char *text)
{
	struct switch_port *port = s->port;
	bool refused = s->refused, rest = rest_comes(s);

	if (!refused)
		switch_event(sb, s, SWITCH_RESET, text);
	leave_port(s);
	TAILQ_INSERT_TAIL(&sb->ending, s, link);
	s->reset_number = error;
	s->reset_text = text;
	/* What was refused here has never come to the guest. */
	if (refused)
		switch_remove(sb, s);
	else if (rest)
		add_refused(sb, port, s->number);
}

/* To what is over the guest says so itself; but the rest of an OPEN would be one of its own. */
bool switch_wanted(struct switchboard *sb, const void *frame, size_t len)
{
	struct switch_stream *s;
	struct frame f;

	if (!frame_load(&f, frame, len) || f.type != KRING_STREAM_OPEN)
		return true;
	s = switch_find_ring(sb, f.stream);
	return s && s->port;
}

void switch_unsent(struct switchboard *sb, const void *frame, size_t len, int error,
		   const char *text)
{
	struct switch_stream *s;
	struct frame f;

	if (!frame_load(&f, frame, len) ||
	    (f.type != KRING_STREAM_RESET && f.type != KRING_STREAM_CLOSE) ||
	    switch_find_ring(sb, f.stream))
		return;
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->ring = f.stream;
	s->reset_number = error;
	s->reset_text = text;
	LIST_INSERT_HEAD(switch_ring_chain(sb, s->ring), s, by_ring);
	TAILQ_INSERT_TAIL(&sb->ending, s, link);
	sb->stats.streams++;
}

void switch_port_init(struct switch_port *port, void *owner)
{
	memset(port, 0, sizeof(*port));
	TAILQ_INIT(&port->streams);
	port->next_even = 2;
	port->owner = owner;
}

void switch_port_fini(struct switchboard *sb, struct switch_port *port, int error,
		      const char *text)
{
	struct switch_stream *s;

	while ((s = TAILQ_FIRST(&port->streams)))
		switch_end(sb, s, error, text);
}

bool switch_full(const struct switchboard *sb, const struct switch_port *port)
{
	return sb->stats.streams >= sb->args.streams_max ||
	       port->count - port->refused >= sb->args.port_streams_max;
}

/* Why @port may not open one more, or NULL. */
static const char *open_refused(const struct switchboard *sb, const struct switch_port *port,
				int *error)
{
	*error = EIO;
	if (sb->down)
		return sb->down;
	*error = EAGAIN;
	if (port->count - port->refused >= sb->args.port_streams_max)
		return "this client has too many streams";
	if (sb->stats.streams >= sb->args.streams_max)
		return "there are too many streams";
	return NULL;
}

/*
 * The numbers of refused streams must be known while the rest of their OPEN is on its way:
 * what is in it might look like an OPEN of its own.
 */
static enum switch_verdict refuse(struct switchboard *sb, struct switch_port *port,
				  const struct frame *f, int error, const char *text,
				  const char **why)
{
	sb->stats.refused++;
	if (f->flags & KRING_STREAM_MORE) {
		*why = "there is no memory";
		if (!add_refused(sb, port, f->stream))
			return SWITCH_BAD;
	}
	sb->args.ops->reset(port, f->stream, error, text);
	return SWITCH_DROP;
}

/* Of many the oldest go: who honestly stops in the midst of an OPEN has done so long ago. */
static void forget_refused(struct switchboard *sb, struct switch_port *port)
{
	struct switch_stream *s, *next;

	for (s = TAILQ_FIRST(&port->streams); s && port->refused >= REFUSED_MAX; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->refused)
			switch_remove(sb, s);
	}
}

static bool is_own_service(const char *service)
{
	return !strncmp(service, "broker.", strlen("broker."));
}

static enum switch_verdict open_first(struct switchboard *sb, struct switch_port *port,
				      struct frame *f, const uint8_t *payload, size_t len,
				      const char **why)
{
	struct switch_stream *s, *parent = NULL;
	char service[SWITCH_SERVICE];
	const char *text;
	uint32_t ring;
	int error;

	forget_refused(sb, port);
	switch_service(payload, len, service);
	if (is_own_service(service)) {
		if (f->flags & KRING_STREAM_MORE)
			return refuse(sb, port, f, EMSGSIZE, "the request is too long", why);
		return SWITCH_LOCAL;
	}
	text = open_refused(sb, port, &error);
	if (text)
		return refuse(sb, port, f, error, text, why);
	if (f->offset) {
		parent = f->offset <= UINT32_MAX ? switch_find_port(sb, port, f->offset) : NULL;
		if (!parent || parent->refused)
			return refuse(sb, port, f, ENOENT, "its parent is not there", why);
	}

	do
		ring = sb->args.ops->take_number(sb->args.owner);
	while (switch_find_ring(sb, ring));
	s = switch_add(sb, port, ring, f->stream);
	if (!s)
		return refuse(sb, port, f, ENOMEM, "there is no memory", why);
	memcpy(s->service, service, sizeof(service));
	s->opening = f->flags & KRING_STREAM_MORE;
	s->parent = parent ? parent->ring : 0;
	f->offset = s->parent;
	f->stream = s->ring;
	switch_event(sb, s, SWITCH_OPENED, NULL);
	return SWITCH_RELAY;
}

static enum switch_verdict port_open(struct switchboard *sb, struct switch_port *port,
				     struct frame *f, const uint8_t *payload, size_t len,
				     const char **why)
{
	struct switch_stream *s = switch_find_port(sb, port, f->stream);

	*why = "it opens a stream with a number of the guest's";
	if (!(f->stream & 1))
		return SWITCH_BAD;
	if (!s)
		return open_first(sb, port, f, payload, len, why);
	if (s->refused) {
		if (!(f->flags & KRING_STREAM_MORE))
			switch_remove(sb, s);
		return SWITCH_DROP;
	}
	*why = "it opens a stream that is open";
	if (!s->opening)
		return SWITCH_BAD;
	s->opening = f->flags & KRING_STREAM_MORE;
	f->offset = s->parent;
	f->stream = s->ring;
	return SWITCH_RELAY;
}

/* The client gives credit: only for what has come, and never back. */
static const char *port_ack(struct switch_stream *s, const struct frame *f,
			    const uint8_t *payload, size_t len)
{
	struct switch_channel *c = &s->channels[f->channel];
	uint32_t window;

	if (len != sizeof(window))
		return "its ACK is not as long as it should be";
	if (f->offset > c->next)
		return "it acknowledges what was never sent";
	memcpy(&window, payload, sizeof(window));
	window = le32_to_cpu(window);
	if (f->offset + window > c->limit)
		c->limit = f->offset + window;
	return NULL;
}

static enum switch_verdict port_stream(struct switchboard *sb, struct switch_stream *s,
				       struct frame *f, const uint8_t *payload, size_t len,
				       const char **why)
{
	/* The guest has yet to hear that it goes on. */
	if (s->ends && f->type != KRING_STREAM_RESET)
		return SWITCH_DROP;
	f->stream = s->ring;
	switch (f->type) {
	case KRING_STREAM_ACCEPT:
		*why = "it accepts a stream that it has opened itself";
		if (!s->from_guest)
			return SWITCH_BAD;
		break;
	case KRING_STREAM_DATA:
	case KRING_STREAM_CONTROL:
		s->to_guest += len;
		sb->stats.to_guest += len;
		break;
	case KRING_STREAM_ACK:
		*why = port_ack(s, f, payload, len);
		if (*why)
			return SWITCH_BAD;
		break;
	case KRING_STREAM_CLOSE:
		if (f->flags & KRING_STREAM_MORE)
			break;
		s->host_closed = true;
		if (s->guest_closed) {
			switch_event(sb, s, SWITCH_CLOSED, NULL);
			switch_remove(sb, s);
		}
		break;
	case KRING_STREAM_RESET:
		switch_event(sb, s, SWITCH_RESET, "by the client");
		switch_remove(sb, s);
		break;
	}
	return SWITCH_RELAY;
}

bool switch_needs_ring(struct switchboard *sb, struct switch_port *port, const void *frame,
		       size_t len)
{
	char service[SWITCH_SERVICE];
	struct frame f;

	if (!frame_load(&f, frame, len) || f.type != KRING_STREAM_OPEN || !f.stream ||
	    switch_frame_fault(&f) || switch_find_port(sb, port, f.stream))
		return false;
	switch_service((const uint8_t *)frame + FRAME_HEADER, len - FRAME_HEADER, service);
	return !is_own_service(service);
}

enum switch_verdict switch_from_port(struct switchboard *sb, struct switch_port *port,
				     void *frame, size_t len, const char **why)
{
	uint8_t *payload = (uint8_t *)frame + FRAME_HEADER;
	enum switch_verdict verdict;
	struct switch_stream *s;
	struct frame f;

	*why = "it has sent what is not a frame";
	if (len > KRING_STREAM_FRAME_MAX || !frame_load(&f, frame, len))
		return SWITCH_BAD;
	*why = switch_frame_fault(&f);
	if (*why)
		return SWITCH_BAD;
	len -= FRAME_HEADER;

	if (!f.stream)
		return SWITCH_LOCAL;
	if (f.type == KRING_STREAM_OPEN) {
		verdict = port_open(sb, port, &f, payload, len, why);
	} else {
		s = switch_find_port(sb, port, f.stream);
		/* The local multiplexer knows what to answer for a stream that is not there. */
		if (!s)
			return SWITCH_LOCAL;
		if (s->refused) {
			if (f.type == KRING_STREAM_RESET)
				switch_remove(sb, s);
			return SWITCH_DROP;
		}
		verdict = port_stream(sb, s, &f, payload, len, why);
	}
	if (verdict == SWITCH_RELAY)
		frame_store(&f, frame);
	return verdict;
}
