// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a stream sends: bytes are kept until the peer's application has taken them, and go out
 * as far as there is credit.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mux_internal.h"

/* What each channel may hold even where the memory for all is used up. */
#define SHARE_MIN	4096

static size_t room(const struct kring_stream *stream, unsigned int channel)
{
	const struct kring_mux *mux = stream->mux;
	const struct channel_out *out = &stream->out[channel];
	size_t share = mux->args.window;

	if (out->ended || stream->state == STREAM_DEAD)
		return 0;
	if (mux->memory > mux->args.memory_max / 2 && share > SHARE_MIN)
		share = SHARE_MIN;
	return share > out->queue.len ? share - out->queue.len : 0;
}

size_t kring_stream_room(struct kring_stream *stream, unsigned int channel)
{
	size_t bytes;

	if (channel >= CHANNELS)
		return 0;
	bytes = room(stream, channel);
	stream->out[channel].blocked = !bytes;
	return bytes;
}

size_t kring_stream_write(struct kring_stream *stream, unsigned int channel, const void *buf,
			  size_t len)
{
	size_t bytes = kring_stream_room(stream, channel);

	if (len > bytes) {
		len = bytes;
		if (channel < CHANNELS)
			stream->out[channel].blocked = true;
	}
	if (!len || kring_queue_append(&stream->out[channel].queue, buf, len))
		return 0;
	mux_output(stream->mux, stream);
	return len;
}

size_t kring_stream_reserve(struct kring_stream *stream, unsigned int channel, size_t want,
			    void **at)
{
	size_t bytes = kring_stream_room(stream, channel);

	if (want > bytes)
		want = bytes;
	return want ? kring_queue_reserve(&stream->out[channel].queue, want, at) : 0;
}

void kring_stream_commit(struct kring_stream *stream, unsigned int channel, size_t len)
{
	if (channel >= CHANNELS || stream->state == STREAM_DEAD)
		return;
	kring_queue_commit(&stream->out[channel].queue, len);
	if (len)
		mux_output(stream->mux, stream);
}

void kring_stream_eof(struct kring_stream *stream, unsigned int channel)
{
	if (channel >= KRING_CHANNELS || stream->out[channel].ended)
		return;
	stream->out[channel].ended = true;
	mux_output(stream->mux, stream);
}

size_t kring_stream_unacked(const struct kring_stream *stream, unsigned int channel)
{
	return channel < CHANNELS ? stream->out[channel].queue.len : 0;
}

int kring_stream_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct kring_queue *queue = &stream->out[KRING_CHANNEL_CONTROL].queue;
	uint32_t prefix = htole32(len);
	uint8_t *bytes;
	int code;

	if (len > KRING_CONTROL_MAX)
		return -EMSGSIZE;
	/* All or nothing: one message more than there is room for. */
	if (!kring_stream_room(stream, KRING_CHANNEL_CONTROL))
		return -EAGAIN;
	bytes = malloc(CONTROL_PREFIX + len);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &prefix, CONTROL_PREFIX);
	if (len)
		memcpy(bytes + CONTROL_PREFIX, message, len);
	code = kring_queue_append(queue, bytes, CONTROL_PREFIX + len);
	free(bytes);
	if (!code)
		mux_output(stream->mux, stream);
	return code;
}

void stream_receive_ack(struct kring_stream *stream, unsigned int channel, uint64_t offset,
			const uint8_t *payload, size_t len)
{
	struct channel_out *out = &stream->out[channel];
	uint32_t window;

	if (len != sizeof(window)) {
		stream_break(stream, EPROTO, "ACK with %zu bytes instead of 4", len);
		return;
	}
	memcpy(&window, payload, sizeof(window));
	if (offset > out->sent) {
		stream_break(stream, EPROTO, "ACK of %llu bytes, and %llu were sent",
			     (unsigned long long)offset, (unsigned long long)out->sent);
		return;
	}
	window = le32toh(window);
	if (offset > out->acked) {
		kring_queue_drop(&out->queue, offset - out->acked);
		out->acked = offset;
	}
	offset += window;
	if (offset > out->limit) {
		out->limit = offset;
		if (written(out) > out->sent)
			mux_output(stream->mux, stream);
	}
	if (out->blocked && room(stream, channel)) {
		out->blocked = false;
		if (stream->ops && stream->ops->writable && !stream->detached)
			stream->ops->writable(stream, channel);
	}
}

/*
 * What is to be sent, in the order in which it is sent
 */

static size_t pull_message(struct kring_stream *stream, struct message *message, uint8_t type,
			   uint64_t offset, uint8_t *buf)
{
	size_t len = message->len - message->sent;
	size_t max = mux_payload_max(stream->mux);
	bool more = len > max;
	size_t at;

	if (more)
		len = max;
	at = mux_header(buf, type, 0, more ? KRING_STREAM_MORE : 0, stream->number, offset);
	if (len)
		memcpy(buf + at, message->bytes + message->sent, len);
	message->sent += len;
	message->pending = more;
	return at + len;
}

static size_t pull_start(struct kring_stream *stream, uint8_t *buf)
{
	if (!stream->start.pending)
		return 0;
	if (!stream->ours)
		return pull_message(stream, &stream->start, KRING_STREAM_ACCEPT, 0, buf);
	stream->announced = true;
	return pull_message(stream, &stream->start, KRING_STREAM_OPEN, stream->parent, buf);
}

static size_t pull_ack(struct kring_stream *stream, uint8_t *buf)
{
	struct channel_in *in;
	uint32_t window;
	unsigned int i;
	size_t at;

	for (i = 0; i < CHANNELS; i++) {
		in = &stream->in[i];
		if (!in->ack)
			continue;
		in->ack = false;
		if (in->ended)
			continue;
		/* What was allowed once stays allowed. */
		if (consumed(in) + in->window > in->limit)
			in->limit = consumed(in) + in->window;
		window = htole32(in->limit - consumed(in));
		at = mux_header(buf, KRING_STREAM_ACK, i, 0, stream->number, consumed(in));
		memcpy(buf + at, &window, sizeof(window));
		return at + sizeof(window);
	}
	return 0;
}

static size_t pull_bytes(struct kring_stream *stream, unsigned int channel, uint8_t *buf)
{
	struct channel_out *out = &stream->out[channel];
	uint8_t type = channel == KRING_CHANNEL_CONTROL ? KRING_STREAM_CONTROL : KRING_STREAM_DATA;
	size_t len = written(out) - out->sent;
	size_t max = mux_payload_max(stream->mux);
	size_t at;

	if (len > max)
		len = max;
	/* After a resumption the limit is what the peer says it was. */
	if (out->limit < out->sent)
		return 0;
	if (len > out->limit - out->sent)
		len = out->limit - out->sent;
	if (!len)
		return 0;
	at = mux_header(buf, type, channel, 0, stream->number, out->sent);
	kring_queue_copy(&out->queue, out->sent - out->acked, buf + at, len);
	out->sent += len;
	if (channel < KRING_CHANNELS)
		stream->mux->stats.bytes_sent += len;
	return at + len;
}

static size_t pull_eof(struct kring_stream *stream, uint8_t *buf)
{
	struct channel_out *out;
	unsigned int i;

	for (i = 0; i < KRING_CHANNELS; i++) {
		out = &stream->out[i];
		/* CLOSE is the end of them all. */
		if (!out->ended || out->eof_sent || stream->close.pending ||
		    out->sent != written(out))
			continue;
		out->eof_sent = true;
		return mux_header(buf, KRING_STREAM_EOF, i, 0, stream->number, out->sent);
	}
	return 0;
}

static size_t pull_close(struct kring_stream *stream, uint8_t *buf)
{
	unsigned int i;
	size_t len;

	if (!stream->close.pending)
		return 0;
	for (i = 0; i < CHANNELS; i++)
		if (stream->out[i].sent != written(&stream->out[i]))
			return 0;
	len = pull_message(stream, &stream->close, KRING_STREAM_CLOSE, 0, buf);
	if (stream->close.pending)
		return len;
	for (i = 0; i < KRING_CHANNELS; i++)
		stream->out[i].eof_sent = true;
	if (stream->peer_closed)
		stream_end(stream, true);
	return len;
}

/*
 * It belongs to a stream that waits for another connection. Whoever comes there may have
 * nothing to do with that one, and would refuse it; stream_go_on_children() follows.
 */
static bool waits_for_parent(const struct kring_stream *stream)
{
	const struct kring_stream *parent = NULL;

	if (stream->ours && !stream->announced && stream->parent)
		parent = kring_mux_find(stream->mux, stream->parent);
	return parent && parent->parked;
}

size_t stream_pull(struct kring_stream *stream, uint8_t *buf, bool *more)
{
	unsigned int i, channel;
	size_t len;

	stream_tell_closed(stream);
	if (stream->parked || stream->held)
		return 0;
	if (stream->state == STREAM_DEAD || stream->state == STREAM_INCOMING ||
	    stream->state == STREAM_OFFERED || waits_for_parent(stream))
		return 0;

	/* There may be: asked again, it says so. */
	*more = true;
	len = pull_start(stream, buf);
	if (!len)
		len = pull_bytes(stream, KRING_CHANNEL_CONTROL, buf);
	if (!len)
		len = pull_ack(stream, buf);
	for (i = 0; !len && i < KRING_CHANNELS; i++) {
		channel = (stream->turn + i) % KRING_CHANNELS;
		len = pull_bytes(stream, channel, buf);
		if (len)
			stream->turn = channel + 1;
	}
	if (!len)
		len = pull_eof(stream, buf);
	if (!len)
		len = pull_close(stream, buf);
	if (!len)
		*more = false;
	return len;
}
