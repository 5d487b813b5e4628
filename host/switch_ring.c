// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's switch: frames of the guest, who is hostile, and what the guest is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <message.h>

#include "switch_internal.h"

/**
 * struct shape - what a type of frame can look like
 * @known: it is relayed at all
 * @of_stream: it belongs to a stream other than 0
 * @channel_min: lowest channel
 * @channel_max: highest channel
 * @flags: those that it can have
 */
static const struct shape {
	bool known;
	bool of_stream;
	uint8_t channel_min;
	uint8_t channel_max;
	uint16_t flags;
} shapes[KRING_STREAM_RESUME + 1] = {
	[KRING_STREAM_HELLO] = { true, false, 0, 0, 0 },
	[KRING_STREAM_PING] = { true, false, 0, 0, 0 },
	[KRING_STREAM_PONG] = { true, false, 0, 0, 0 },
	[KRING_STREAM_RESUME] = { true, false, 0, 0, 0 },
	[KRING_STREAM_OPEN] = { true, true, 0, 0, KRING_STREAM_MORE },
	[KRING_STREAM_ACCEPT] = { true, true, 0, 0, KRING_STREAM_MORE },
	[KRING_STREAM_DATA] = { true, true, 0, KRING_CHANNELS - 1, 0 },
	[KRING_STREAM_ACK] = { true, true, 0, KRING_CHANNEL_CONTROL, 0 },
	[KRING_STREAM_EOF] = { true, true, 0, KRING_CHANNELS - 1, 0 },
	[KRING_STREAM_CLOSE] = { true, true, 0, 0, KRING_STREAM_MORE },
	[KRING_STREAM_RESET] = { true, true, 0, 0, 0 },
	[KRING_STREAM_CONTROL] = { true, true, KRING_CHANNEL_CONTROL, KRING_CHANNEL_CONTROL, 0 },
};

const char *switch_frame_fault(const struct frame *f)
{
	const struct shape *shape;

	if (f->type > KRING_STREAM_RESUME || !shapes[f->type].known)
		return "a frame of a type that is not relayed";
	shape = &shapes[f->type];
	if (shape->of_stream != !!f->stream)
		return f->stream ? "a frame of a type that no stream has" :
				   "a frame that should belong to a stream";
	if (f->channel < shape->channel_min || f->channel > shape->channel_max)
		return "a frame with a channel that it cannot have";
	if (f->flags & ~shape->flags)
		return "a frame with flags that it cannot have";
	return NULL;
}

/* A varint of a protocol buffer that the position moves over; -1: there is none. */
static int64_t varint(const uint8_t **at, const uint8_t *end)
{
	uint64_t value = 0;
	unsigned int shift;

	for (shift = 0; *at < end && shift < 35; shift += 7) {
		value |= (uint64_t)(**at & 0x7f) << shift;
		if (!(*(*at)++ & 0x80))
			return value;
	}
	return -1;
}

/*
 * Not decoded as a message: that may go on in further frames. The name is its first field
 * wherever it comes from, and where it is not, nobody loses but the one who looks for it.
 */
void switch_service(const uint8_t *message, size_t len, char service[SWITCH_SERVICE])
{
	const uint8_t *at = message, *end = message + len;
	int64_t n;
	size_t i;

	memset(service, 0, SWITCH_SERVICE);
	if (!len || *at++ != (1 << 3 | 2))
		return;
	n = varint(&at, end);
	if (n < 0 || n > end - at)
		return;
	for (i = 0; i < (size_t)n && i < SWITCH_SERVICE - 1; i++)
		service[i] = at[i] > ' ' && at[i] <= '~' ? at[i] : '?';
}

/* Both sides are told, and what the guest still sends for it is dropped. */
static enum switch_verdict violation(struct switchboard *sb, struct switch_stream *s,
				     const char *text)
{
	sb->stats.violations++;
	sb->args.ops->reset(s->port, s->number, EPROTO, text);
	switch_end(sb, s, EPROTO, text);
	return SWITCH_DROP;
}

/* What has passed before is cut off: nobody has given credit for it twice. */
static enum switch_verdict ring_data(struct switchboard *sb, struct switch_stream *s,
				     struct frame *f, uint8_t *payload, size_t *len)
{
	struct switch_channel *c = &s->channels[f->channel];
	uint64_t end = f->offset + *len, skip;

	if (end < f->offset || f->offset > c->next)
		return violation(sb, s, "the guest has left a gap");
	if (end > c->limit)
		return violation(sb, s, "the guest has sent more than it may");
	if (end <= c->next)
		return SWITCH_DROP;
	if (c->ended)
		return violation(sb, s, "the guest has sent behind the end");
	skip = c->next - f->offset;
	if (skip) {
		memmove(payload, payload + skip, *len - skip);
		*len -= skip;
		f->offset = c->next;
	}
	c->next = end;
	s->to_host += *len;
	sb->stats.to_host += *len;
	return SWITCH_RELAY;
}

static enum switch_verdict ring_eof(struct switchboard *sb, struct switch_stream *s,
				    const struct frame *f)
{
	struct switch_channel *c = &s->channels[f->channel];

	if (f->offset != c->next)
		return violation(sb, s, "the guest has ended it elsewhere");
	if (c->ended)
		return SWITCH_DROP;
	c->ended = true;
	return SWITCH_RELAY;
}

static enum switch_verdict ring_stream(struct switchboard *sb, struct switch_stream *s,
				       struct frame *f, uint8_t *payload, size_t *len,
				       bool *credited)
{
	enum switch_verdict verdict = SWITCH_RELAY;
	struct switch_stream *parent;
	uint32_t number = s->number;

	switch (f->type) {
	case KRING_STREAM_OPEN:
		if (!s->opening || !s->from_guest)
			return violation(sb, s, "the guest has opened it twice");
		s->opening = f->flags & KRING_STREAM_MORE;
		parent = switch_find_ring(sb, s->parent);
		f->offset = parent ? parent->number : 0;
		break;
	case KRING_STREAM_ACCEPT:
		if (s->from_guest)
			return violation(sb, s, "the guest has accepted its own stream");
		break;
	case KRING_STREAM_CONTROL:
	case KRING_STREAM_DATA:
		verdict = ring_data(sb, s, f, payload, len);
		*credited = verdict == SWITCH_RELAY;
		break;
	case KRING_STREAM_EOF:
		verdict = ring_eof(sb, s, f);
		break;
	case KRING_STREAM_CLOSE:
		if (s->guest_closed)
			return SWITCH_DROP;
		if (f->flags & KRING_STREAM_MORE)
			break;
		s->guest_closed = true;
		if (s->host_closed) {
			switch_event(sb, s, SWITCH_CLOSED, NULL);
			switch_remove(sb, s);
		}
		break;
	case KRING_STREAM_RESET:
		switch_event(sb, s, SWITCH_RESET, "by the guest");
		switch_forget(sb, s);
		break;
	}
	f->stream = number;
	return verdict;
}

/* A connection that a listener of a client's has accepted in the guest. */
static enum switch_verdict ring_open(struct switchboard *sb, struct frame *f,
				     const uint8_t *payload, size_t len,
				     struct switch_port **port)
{
	struct switch_stream *s, *parent = NULL;

	if (f->offset && f->offset <= UINT32_MAX)
		parent = switch_find_ring(sb, f->offset);
	/* What is nobody's is for the local multiplexer to refuse. */
	if (f->stream & 1 || !parent || !parent->port || parent->ends ||
	    switch_full(sb, parent->port))
		return SWITCH_LOCAL;

	*port = parent->port;
	while (switch_find_port(sb, *port, (*port)->next_even) || !(*port)->next_even)
		(*port)->next_even += 2;
	s = switch_add(sb, *port, f->stream, (*port)->next_even);
	if (!s)
		return SWITCH_LOCAL;
	(*port)->next_even += 2;
	switch_service(payload, len, s->service);
	s->from_guest = true;
	s->opening = f->flags & KRING_STREAM_MORE;
	s->parent = parent->ring;
	f->offset = parent->number;
	f->stream = s->number;
	switch_event(sb, s, SWITCH_OPENED, NULL);
	return SWITCH_RELAY;
}

enum switch_verdict switch_from_ring(struct switchboard *sb, void *frame, size_t *len,
				     struct switch_port **port, bool *credited)
{
	uint8_t *payload = (uint8_t *)frame + FRAME_HEADER;
	enum switch_verdict verdict;
	struct switch_stream *s;
	struct frame f;
	const char *why;
	size_t left;

	*port = NULL;
	*credited = false;
	if (!frame_load(&f, frame, *len) || !f.stream)
		return SWITCH_LOCAL;
	left = *len - FRAME_HEADER;
	s = switch_find_ring(sb, f.stream);
	if (s && !s->port) {
		/* The guest has ended it too. */
		if (f.type == KRING_STREAM_RESET)
			switch_remove(sb, s);
		return SWITCH_DROP;
	}
	/* It has yet to hear that it goes on. */
	if (s && s->ends && f.type != KRING_STREAM_RESET)
		return SWITCH_DROP;

	if (s) {
		*port = s->port;
		why = switch_frame_fault(&f);
		verdict = why ? violation(sb, s, why) :
			  ring_stream(sb, s, &f, payload, &left, credited);
	} else if (f.type == KRING_STREAM_OPEN && !switch_frame_fault(&f)) {
		verdict = ring_open(sb, &f, payload, left, port);
	} else {
		verdict = SWITCH_LOCAL;
	}
	if (verdict == SWITCH_RELAY) {
		frame_store(&f, frame);
		*len = FRAME_HEADER + left;
	}
	return verdict;
}

void switch_end_all(struct switchboard *sb, int error, const char *text)
{
	struct switch_stream *s, *next;
	unsigned int i;

	switch_give_up(sb, error, text);
	for (i = 0; i < SWITCH_CHAINS; i++) {
		for (s = LIST_FIRST(&sb->by_ring[i]); s; s = next) {
			next = LIST_NEXT(s, by_ring);
			if (!s->port || s->refused)
				continue;
			sb->args.ops->reset(s->port, s->number, error, text);
			switch_end(sb, s, error, text);
		}
	}
}

bool switch_pending(const struct switchboard *sb)
{
	return !TAILQ_EMPTY(&sb->ending);
}

size_t switch_pull(struct switchboard *sb, void *buf)
{
	struct switch_stream *s = TAILQ_FIRST(&sb->ending);
	struct frame f = { .type = KRING_STREAM_RESET };
	size_t len = 0;
	void *error;

	if (!s)
		return 0;
	f.stream = s->ring;
	frame_store(&f, buf);
	error = kring_pack_error(s->reset_number, "broker", s->reset_text, &len);
	if (!error || len > KRING_STREAM_FRAME_MIN - FRAME_HEADER)
		len = 0;
	if (len)
		memcpy((uint8_t *)buf + FRAME_HEADER, error, len);
	free(error);
	switch_remove(sb, s);
	return FRAME_HEADER + len;
}
