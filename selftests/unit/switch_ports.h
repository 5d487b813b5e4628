/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A switch with two clients, and frames for it, of either side.
 */
#ifndef UNIT_SWITCH_PORTS_H
#define UNIT_SWITCH_PORTS_H

#include "../../host/switch.c"
#include "../../host/switch_resume.c"
#include "../../host/switch_ring.c"

#include <tap.h>

#include "random.h"

#define STREAMS_MAX	8
#define PORT_STREAMS	6

static struct switchboard *sb;
static struct switch_port a, b;
static uint32_t next_odd;

/* The last RESET that a client was told, and how many there were. */
static struct switch_port *reset_port;
static uint32_t reset_number;
static int reset_error;
static unsigned int resets;

static unsigned int events[SWITCH_RESET + 1];

static inline uint32_t take_number(void *owner)
{
	(void)owner;
	next_odd += 2;
	return next_odd - 2;
}

static inline void on_reset(struct switch_port *port, uint32_t number, int error, const char *text)
{
	must(text);
	reset_port = port;
	reset_number = number;
	reset_error = error;
	resets++;
}

static inline void on_event(void *owner, const struct switch_stream *stream,
			    enum switch_event event, const char *text)
{
	(void)owner;
	(void)text;
	must(stream->port);
	events[event]++;
}

static const struct switch_ops ops = {
	.take_number = take_number,
	.reset = on_reset,
	.event = on_event,
};

static inline void setup(void)
{
	struct switch_args args = {
		.streams_max = STREAMS_MAX,
		.port_streams_max = PORT_STREAMS,
		.ops = &ops,
	};

	next_odd = 101;
	resets = 0;
	reset_port = NULL;
	memset(events, 0, sizeof(events));
	sb = switch_new(&args);
	must(sb);
	switch_port_init(&a, NULL);
	switch_port_init(&b, NULL);
}

static inline void teardown(void)
{
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	switch_port_fini(sb, &b, ECONNRESET, "gone");
	switch_free(sb);
}

/* The frame that goes in, and what came out. */
static uint8_t buf[KRING_STREAM_FRAME_MAX];
static size_t buf_len;
static struct frame out;
static const char *why;
static struct switch_port *to;
static bool credited;

static inline void make(const struct frame *f, const void *payload, size_t len)
{
	frame_store(f, buf);
	memcpy(buf + FRAME_HEADER, payload, len);
	buf_len = FRAME_HEADER + len;
}

static inline enum switch_verdict from_port(struct switch_port *port, struct frame f,
					    const void *payload, size_t len)
{
	enum switch_verdict v;

	make(&f, payload, len);
	v = switch_from_port(sb, port, buf, buf_len, &why);
	frame_load(&out, buf, buf_len);
	must(v != SWITCH_BAD || why);
	return v;
}

static inline enum switch_verdict from_ring(struct frame f, const void *payload, size_t len)
{
	enum switch_verdict v;

	make(&f, payload, len);
	v = switch_from_ring(sb, buf, &buf_len, &to, &credited);
	frame_load(&out, buf, buf_len);
	must(v != SWITCH_BAD);
	return v;
}

#define FRAME(t, s, ...)	\
	((struct frame){ .type = KRING_STREAM_##t, .stream = s, __VA_ARGS__ })

/* Open.service, by hand. */
static inline size_t open_message(char *to, const char *service)
{
	to[0] = 1 << 3 | 2;
	to[1] = strlen(service);
	memcpy(to + 2, service, strlen(service));
	return 2 + strlen(service);
}

static inline enum switch_verdict port_opens(struct switch_port *port, uint32_t number,
					     const char *service, uint64_t parent, uint16_t flags)
{
	char message[64];

	return from_port(port, FRAME(OPEN, number, .offset = parent, .flags = flags), message,
			 open_message(message, service));
}

/* The number that it has on the ring. */
static inline uint32_t opened(struct switch_port *port, uint32_t number)
{
	must(port_opens(port, number, "exec", 0, 0) == SWITCH_RELAY);
	return out.stream;
}

static const uint8_t zeros[KRING_STREAM_FRAME_MAX];

static inline enum switch_verdict ring_data_at(uint32_t stream, uint64_t offset, size_t len)
{
	return from_ring(FRAME(DATA, stream, .offset = offset), zeros, len);
}

static inline enum switch_verdict port_acks(struct switch_port *port, uint32_t number,
					    uint64_t offset, uint32_t window)
{
	__le32 le = cpu_to_le32(window);

	return from_port(port, FRAME(ACK, number, .offset = offset), &le, sizeof(le));
}

/* A RESET for the guest, of which stream; 0: there is none. */
static inline uint32_t pulled(void)
{
	uint8_t frame[KRING_STREAM_FRAME_MIN];
	Kring__Error *error;
	struct frame f;
	size_t len;

	len = switch_pull(sb, frame);
	if (!len)
		return 0;
	must(len <= sizeof(frame) && frame_load(&f, frame, len));
	must(f.type == KRING_STREAM_RESET && !f.flags && !f.channel && !f.offset);
	error = kring_unpack(&kring__error__descriptor, frame + FRAME_HEADER,
			     len - FRAME_HEADER);
	must(error && error->number > 0 && *error->text);
	kring_unpack_free(error);
	return f.stream;
}

static inline unsigned int streams(void)
{
	struct switch_stats stats;

	switch_stats(sb, &stats);
	return stats.streams;
}

#endif /* UNIT_SWITCH_PORTS_H */
