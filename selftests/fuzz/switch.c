// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's switch, between clients and a guest who both send anything. It must stay
 * within its limits, relay only to where a stream is, and hold the guest to the credit that
 * the client has given. They also take streams up again, which neither must get at that way
 * what is another's.
 *
 * Input: steps of a byte that says who does what, and a frame, or what is said of a stream.
 *
 * Sources: libkring
 */
#include "../../host/switch.c"
#include "../../host/switch_resume.c"
#include "../../host/switch_ring.c"

#include "fuzz.h"

#define PORTS		2
#define STREAMS_MAX	6
#define PORT_STREAMS	4

/* Numbers are few, so that they meet. */
#define NUMBERS		16

static struct switch_port ports[PORTS];
static uint32_t next_odd;
static unsigned int alive;

static uint32_t take_number(void *owner)
{
	(void)owner;
	next_odd += 2;
	return next_odd % NUMBERS | 1;
}

static void on_reset(struct switch_port *port, uint32_t number, int error, const char *text)
{
	require(port == &ports[0] || port == &ports[1]);
	require(number && error > 0 && *text);
}

static void on_event(void *owner, const struct switch_stream *stream, enum switch_event event,
		     const char *text)
{
	(void)owner;
	(void)text;
	require(stream->port && stream->ring && stream->number);
	if (event == SWITCH_OPENED || event == SWITCH_RESUMED)
		alive++;
	else
		require(alive--);
}

static const struct switch_ops ops = {
	.take_number = take_number,
	.reset = on_reset,
	.event = on_event,
};

static size_t input_frame(struct input *in, uint8_t *frame)
{
	size_t len = input_u8(in) % 40;
	struct frame f = {
		.type = input_u8(in) % 16,
		.channel = input_u8(in) % 8,
		.flags = input_u8(in) % 4,
		.stream = input_u8(in) % NUMBERS,
		.offset = (int8_t)input_u8(in),
	};
	uint8_t bytes[40];

	input_bytes(in, bytes, sizeof(bytes));
	frame_store(&f, frame);
	memcpy(frame + FRAME_HEADER, bytes, sizeof(bytes));
	return len;
}

static void from_port(struct switchboard *sb, struct switch_port *port, struct input *in)
{
	uint8_t bytes[64], *frame;
	size_t len = input_frame(in, bytes);
	struct switch_stream *s;
	const char *why = NULL;
	struct frame f;

	/* As long as it says, and not a byte longer. */
	frame = part(len ? len : 1);
	memcpy(frame, bytes, len);
	switch_needs_ring(sb, port, frame, len);
	switch (switch_from_port(sb, port, frame, len, &why)) {
	case SWITCH_RELAY:
		require(frame_load(&f, frame, len) && f.stream);
		s = switch_find_ring(sb, f.stream);
		require(!s || (s->port == port && !s->ends));
		break;
	case SWITCH_BAD:
		require(why);
		switch_port_fini(sb, port, ECONNRESET, "bad");
		break;
	default:
		break;
	}
	free(frame);
}

static void from_ring(struct switchboard *sb, struct input *in)
{
	uint8_t bytes[64], *frame;
	size_t len = input_frame(in, bytes), before, head = len;
	struct switch_port *port;
	struct switch_stream *s;
	struct frame f;
	bool credited;

	/* Some go on where the last one ended, with much: so that credit comes to its end. */
	if (len > FRAME_HEADER && frame_load(&f, bytes, len) && f.flags & 2) {
		s = switch_find_ring(sb, f.stream);
		if (s && f.channel < SWITCH_CHANNELS) {
			f.offset = s->channels[f.channel].next;
			frame_store(&f, bytes);
			len += 20000;
		}
	}
	before = len;
	frame = part(len ? len : 1);
	memcpy(frame, bytes, head);
	switch (switch_from_ring(sb, frame, &len, &port, &credited)) {
	case SWITCH_RELAY:
		require(port && len <= before && frame_load(&f, frame, len) && f.stream);
		s = switch_find_port(sb, port, f.stream);
		require(!s || !s->ends);
		if (!credited)
			break;
		require(s && len > FRAME_HEADER);
		require(f.offset + (len - FRAME_HEADER) == s->channels[f.channel].next);
		require(s->channels[f.channel].next <= s->channels[f.channel].limit);
		break;
	case SWITCH_BAD:
		require(false);
		break;
	default:
		break;
	}
	free(frame);
}

static void check_limits(const struct switchboard *sb)
{
	struct switch_stats stats;
	unsigned int i, refused = 0;

	for (i = 0; i < PORTS; i++) {
		require(ports[i].refused <= REFUSED_MAX && ports[i].refused <= ports[i].count);
		require(ports[i].count - ports[i].refused <= PORT_STREAMS);
		refused += ports[i].refused;
	}
	switch_stats(sb, &stats);
	require(stats.streams <= STREAMS_MAX + refused);
	require(stats.waiting <= STREAMS_MAX);
	require(alive <= STREAMS_MAX);
}

/* Tokens are few, too; 0 is none. */
static struct kring_resume input_resume(struct input *in)
{
	struct kring_resume resume = {
		.number = input_u8(in) % NUMBERS,
		.parent = input_u8(in) % NUMBERS,
	};
	uint8_t flags = input_u8(in);
	unsigned int i;

	resume.token[5] = flags % 8;
	resume.absent = (flags & 0x38) == 0x38;
	resume.accepted = flags & 0x40;
	resume.closed = flags & 0x80;
	for (i = 0; i < SWITCH_CHANNELS; i++) {
		resume.channels[i].received = input_u8(in);
		resume.channels[i].limit = KRING_STREAM_WINDOW + input_u8(in);
	}
	resume.channels[0].ended = input_u8(in) & 1;
	return resume;
}

/* Only who knows the token of one that waits gets it. */
static void take(struct switchboard *sb, struct switch_port *port, struct input *in)
{
	struct kring_resume resume = input_resume(in);
	bool used = switch_find_port(sb, port, resume.number), waits = false;
	struct switch_stream *s;

	TAILQ_FOREACH(s, &sb->orphans, link)
		waits |= resume.token[5] && s->ends->guest.token[5] == resume.token[5];
	if (switch_take(sb, port, &resume) || resume.absent)
		return;
	require(waits && !used);
	s = switch_find_port(sb, port, resume.number);
	require(s && s->ends && s->ends->guest.token[5] == resume.token[5]);
}

static void taken(struct switchboard *sb, struct switch_port *port)
{
	struct switch_news news;
	struct switch_stream *s;
	size_t i;

	require(!switch_taken(sb, port, &news));
	require(news.client_count <= PORT_STREAMS && news.guest_count <= STREAMS_MAX);
	for (i = 0; i < news.client_count; i++) {
		s = switch_find_port(sb, port, news.client[i].number);
		require(s && !s->ends && !news.client[i].absent);
		require(!news.client[i].parent ||
			switch_find_port(sb, port, news.client[i].parent));
	}
	for (i = 0; i < news.guest_count; i++) {
		s = switch_find_ring(sb, news.guest[i].number);
		require(news.guest[i].absent ? !s : s && s->port == port);
	}
	switch_news_free(&news);
}

static void resume_step(struct switchboard *sb, struct input *in, uint8_t what)
{
	struct switch_port *port = &ports[what >> 6 & 1];
	struct kring_resume resume;

	switch (what >> 3 & 7) {
	case 0:
	case 1:
	case 2:
		resume = input_resume(in);
		if (!switch_orphan(sb, &resume))
			require(resume.token[5] && resume.number);
		break;
	case 3:
	case 4:
		take(sb, port, in);
		break;
	case 5:
		taken(sb, port);
		break;
	case 6:
		if (what & 128)
			switch_give_up(sb, ETIMEDOUT, "nobody came");
		else
			switch_port_lost(sb, port, ECONNRESET, "gone");
		break;
	case 7:
		switch_clear(sb);
		require(!ports[0].count || ports[0].refused == ports[0].count);
		break;
	}
}

static void step(struct switchboard *sb, struct input *in)
{
	uint8_t what = input_u8(in), frame[KRING_STREAM_FRAME_MIN];

	switch (what & 7) {
	case 0:
	case 1:
	case 2:
		from_port(sb, &ports[what >> 3 & 1], in);
		break;
	case 3:
	case 4:
		from_ring(sb, in);
		break;
	case 5:
		resume_step(sb, in, what);
		break;
	case 6:
		require(switch_pull(sb, frame) <= sizeof(frame));
		break;
	case 7:
		if (what & 8)
			switch_port_fini(sb, &ports[what >> 4 & 1], ECONNRESET, "gone");
		else
			switch_end_all(sb, ESHUTDOWN, "over");
		break;
	}
	check_limits(sb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct switch_args args = {
		.streams_max = STREAMS_MAX,
		.port_streams_max = PORT_STREAMS,
		.ops = &ops,
	};
	struct switchboard *sb = switch_new(&args);
	struct input in = { data, size };
	unsigned int i;

	require(sb);
	next_odd = 1;
	alive = 0;
	for (i = 0; i < PORTS; i++)
		switch_port_init(&ports[i], NULL);
	while (in.left)
		step(sb, &in);
	for (i = 0; i < PORTS; i++)
		switch_port_fini(sb, &ports[i], ECONNRESET, "gone");
	require(!alive);
	switch_free(sb);
	return 0;
}
