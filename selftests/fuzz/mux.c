// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The stream multiplexer against a peer that sends what the input says, while the owner does
 * what the input says: also out of its callbacks, where it hurts.
 *
 * Sources: libkring
 */
#include <message.h>
#include <mux_internal.h>

#include "fuzz.h"

#define STREAMS		6
#define FRAME_MAX	KRING_STREAM_FRAME_MIN
#define MEMORY_MAX	1048576

/**
 * struct owner - who uses the multiplexer
 * @mux: multiplexer
 * @in: the rest of the input
 * @streams: those that may still be used
 * @depth: of callbacks
 * @reserved: room that was reserved, and not committed yet
 */
struct owner {
	struct kring_mux *mux;
	struct input in;
	struct kring_stream *streams[STREAMS];
	unsigned int depth;
	struct {
		struct kring_stream *stream;
		unsigned int channel;
		void *at;
		size_t len;
	} reserved;
};

static void act(struct owner *owner);

static void forget(struct kring_stream *stream)
{
	struct owner *owner = kring_mux_owner(kring_stream_mux(stream));
	unsigned int i;

	if (owner->reserved.stream == stream)
		owner->reserved.stream = NULL;
	for (i = 0; i < STREAMS; i++)
		if (owner->streams[i] == stream)
			owner->streams[i] = NULL;
}

static void from_callback(struct kring_stream *stream)
{
	struct owner *owner = kring_mux_owner(kring_stream_mux(stream));

	if (owner->depth > 3)
		return;
	owner->depth++;
	act(owner);
	owner->depth--;
}

static void on_bytes(struct kring_stream *stream, const void *bytes, size_t len)
{
	uint8_t sum = 0;
	size_t i;

	/* The sanitizers watch. */
	for (i = 0; i < len; i++)
		sum += ((const uint8_t *)bytes)[i];
	require(len <= KRING_MESSAGE_MAX + (sum & 1) * 0);
	from_callback(stream);
}

static void on_channel(struct kring_stream *stream, unsigned int channel)
{
	require(channel <= KRING_CHANNEL_CONTROL);
	from_callback(stream);
}

static void on_closed(struct kring_stream *stream, const void *bytes, size_t len)
{
	unsigned int i;
	const void *at;

	for (i = 0; i < KRING_CHANNELS; i++)
		require(!kring_stream_peek(stream, i, &at));
	on_bytes(stream, bytes, len);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	forget(stream);
	kring_unpack_free(kring_unpack(&kring__error__descriptor, error, len));
	from_callback(stream);
}

static const struct kring_stream_ops stream_ops = {
	.accepted = on_bytes,
	.readable = on_channel,
	.writable = on_channel,
	.control = on_bytes,
	.closed = on_closed,
	.reset = on_reset,
};

static void on_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
		      const void *request, size_t len)
{
	struct owner *owner = kring_mux_owner(mux);
	unsigned int i;

	(void)parent;
	kring_unpack_free(kring_unpack(&kring__open__descriptor, request, len));
	kring_stream_set_ops(stream, &stream_ops, owner);
	for (i = 0; i < STREAMS; i++) {
		if (owner->streams[i])
			continue;
		owner->streams[i] = stream;
		from_callback(stream);
		return;
	}
	kring_reset(stream, EMFILE, "fuzz", "no more");
}

static void on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	static struct kring_hello hello = { .agent = "fuzz", .instance = 1 };

	kring_hello_received(&hello, mux, message, len);
	require(strnlen(hello.peer_agent, sizeof(hello.peer_agent)) < sizeof(hello.peer_agent));
}

static void on_resume(struct kring_mux *mux, const void *message, size_t len)
{
	require(kring_mux_resumed(mux, message, len, NULL, NULL) <= 1);
}

static const struct kring_mux_ops mux_ops = {
	.opened = on_opened, .hello = on_hello, .resume = on_resume,
};

/* What the owner does. */
static void act(struct owner *owner)
{
	static uint8_t bytes[70000];
	uint8_t what = input_u8(&owner->in);
	unsigned int i = input_u8(&owner->in) % STREAMS;
	unsigned int channel = input_u8(&owner->in) % (KRING_CHANNELS + 2);
	size_t len = input_u8(&owner->in) * 256 + input_u8(&owner->in);
	struct kring_stream *stream = owner->streams[i];
	const void *at;
	void *room;

	if (what % 12 == 0 && !stream) {
		owner->streams[i] = kring_mux_open(owner->mux, i, bytes, len, channel,
						   &stream_ops, owner);
		return;
	}
	if (!stream)
		return;
	/* Nothing is appended to what is reserved. */
	if (stream == owner->reserved.stream && what % 12 < 11 && what % 12 != 5 &&
	    what % 12 != 6)
		return;
	switch (what % 12) {
	case 1:
		kring_stream_accept(stream, bytes, len, channel);
		break;
	case 2:
		require(kring_stream_write(stream, channel, bytes, len) <= len);
		break;
	case 3:
		kring_stream_eof(stream, channel);
		break;
	case 4:
		kring_stream_control(stream, bytes, len);
		break;
	case 5:
		forget(stream);
		kring_stream_close(stream, bytes, len);
		break;
	case 6:
		forget(stream);
		kring_stream_reset(stream, bytes, len);
		break;
	case 7:
		kring_stream_consume(stream, channel, kring_stream_peek(stream, channel, &at));
		break;
	case 8:
		kring_stream_consume(stream, channel, len);
		break;
	case 9:
		len = kring_stream_reserve(stream, channel, len, &room);
		if (len)
			memset(room, 'r', len);
		kring_stream_commit(stream, channel, len / 2);
		break;
	case 10:
		/* For a while, in which what was sent before may be acknowledged. */
		if (owner->reserved.stream)
			break;
		owner->reserved.len = kring_stream_reserve(stream, channel, len,
							   &owner->reserved.at);
		owner->reserved.channel = channel;
		if (owner->reserved.len)
			owner->reserved.stream = stream;
		break;
	case 11:
		if (stream != owner->reserved.stream)
			break;
		memset(owner->reserved.at, 'R', owner->reserved.len);
		owner->reserved.stream = NULL;
		kring_stream_commit(stream, owner->reserved.channel, len % 2 ? 0 :
				    owner->reserved.len);
		break;
	}
}

/* Where the stream is, so that some frames are just what is expected. */
static uint64_t position(struct kring_mux *mux, const struct kring_stream_header *header)
{
	const struct kring_stream *stream = kring_mux_find(mux, header->stream);

	if (!stream || header->channel > KRING_CHANNEL_CONTROL)
		return 0;
	if (header->type == KRING_STREAM_ACK)
		return stream->out[header->channel].sent;
	return stream->in[header->channel].received;
}

/* What the peer sends: mostly near to what makes sense. */
static void receive(struct owner *owner)
{
	struct kring_stream_header header;
	uint8_t shape = input_u8(&owner->in);
	uint8_t bytes[64], *frame;
	size_t len;
	uint16_t payload = input_u8(&owner->in) * (shape & 1 ? 64 : 1);

	header.type = input_u8(&owner->in) % 15;
	header.channel = input_u8(&owner->in) % (shape & 2 ? 256 : 5);
	header.flags = shape >> 2 & 1;
	header.stream = input_u8(&owner->in) % 16;
	header.offset = input_u8(&owner->in) * (shape & 8 ? 8 : 1);
	if (shape & 16)
		header.offset = -header.offset;
	if (shape & 64)
		header.offset = position(owner->mux, &header);
	if (header.type == KRING_STREAM_ACK && shape & 1)
		payload = 4;
	input_bytes(&owner->in, bytes, payload < 64 ? payload : 64);
	/* As long as it is, and not a byte longer. */
	len = shape & 32 ? payload % sizeof(header) : sizeof(header) + payload;
	frame = calloc(1, len ? len : 1);
	require(frame);
	memcpy(frame, &header, len < sizeof(header) ? len : sizeof(header));
	if (len > sizeof(header))
		memcpy(frame + sizeof(header), bytes, payload < 64 ? payload : 64);
	kring_mux_receive(owner->mux, frame, len);
	free(frame);
}

static void pull(struct owner *owner)
{
	uint8_t frame[FRAME_MAX];
	struct kring_stream_header header;
	size_t len = kring_mux_pull(owner->mux, frame, sizeof(frame));

	if (!len)
		return;
	require(len >= sizeof(header) && len <= sizeof(frame));
	memcpy(&header, frame, sizeof(header));
	require(header.type >= KRING_STREAM_HELLO && header.type <= KRING_STREAM_PONG);
	require(header.channel <= KRING_CHANNEL_CONTROL);
	require(!(header.flags & ~KRING_STREAM_MORE));
}

/* Another connection, to a peer that says of each stream whatever it likes. */
static void reconnect(struct owner *owner)
{
	struct kring_stream *stream, *next;
	struct kring_resume peer;
	unsigned int i;
	uint8_t what;

	kring_mux_park(owner->mux);
	for (stream = kring_mux_next(owner->mux, NULL); stream; stream = next) {
		next = kring_mux_next(owner->mux, stream);
		what = input_u8(&owner->in);
		kring_stream_describe(stream, &peer);
		peer.accepted = what & 1;
		peer.closed = what & 2;
		for (i = 0; what & 4 && i <= KRING_CHANNELS; i++) {
			peer.channels[i].received = input_u8(&owner->in);
			peer.channels[i].limit = input_u8(&owner->in) - 100;
			peer.channels[i].ended = what & 8;
		}
		if (what & 16)
			continue;
		if (kring_stream_resume(stream, what & 32 ? NULL : &peer)) {
			forget(stream);
			kring_stream_reset(stream, NULL, 0);
		}
	}
}

static void check_credit(struct kring_mux *mux)
{
	const struct kring_stream *stream;
	unsigned int i;

	for (stream = kring_mux_next(mux, NULL); stream; stream = kring_mux_next(mux, stream))
		for (i = 0; i < CHANNELS; i++)
			require(stream->in[i].received <= stream->in[i].limit &&
				stream->in[i].queue.len <= stream->in[i].received);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owner owner = { .in = { data, size } };
	struct kring_mux_args args = {
		.role = input_u8(&owner.in) & 1 ? KRING_ROLE_GUEST : KRING_ROLE_HOST,
		.frame_max = FRAME_MAX,
		.streams_max = 5,
		.memory_max = MEMORY_MAX,
		.ops = &mux_ops,
		.owner = &owner,
	};
	struct kring_mux_stats stats;

	owner.mux = kring_mux_new(&args);
	while (owner.in.left) {
		switch (input_u8(&owner.in) % 6) {
		case 0:
			act(&owner);
			break;
		case 1:
			pull(&owner);
			break;
		case 2:
			if (input_u8(&owner.in) % 16 == 0)
				reconnect(&owner);
			break;
		default:
			receive(&owner);
			break;
		}
		check_credit(owner.mux);
		kring_mux_stats(owner.mux, &stats);
		require(stats.memory < 8 * MEMORY_MAX && stats.streams < 200);
	}
	owner.depth = 99;
	kring_mux_reset_all(owner.mux, NULL, 0);
	kring_mux_stats(owner.mux, &stats);
	require(!stats.memory && !stats.streams);
	kring_mux_free(owner.mux);
	return 0;
}
