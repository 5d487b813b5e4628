// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a stream receives.
 *
 * A position is counted where the application takes its bytes: so an ACK says what need not
 * be sent again, and a slow reader stalls its own stream alone.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mux_internal.h"

static bool all_consumed(const struct kring_stream *stream)
{
	unsigned int i;

	for (i = 0; i < KRING_CHANNELS; i++)
		if (stream->in[i].queue.len)
			return false;
	return true;
}

/* The owner has taken bytes: is it worth an ACK? */
static void give_credit(struct kring_stream *stream, unsigned int channel)
{
	struct kring_mux *mux = stream->mux;
	struct channel_in *in = &stream->in[channel];
	size_t more = mux->args.window - in->window;

	if (in->ended || in->ack)
		return;
	if (more && channel < KRING_CHANNELS && mux->extra + more <= mux->args.memory_max / 2) {
		in->window += more;
		mux->extra += more;
	}
	if (consumed(in) + in->window - in->limit >= in->window / 4) {
		in->ack = true;
		mux_output(mux, stream);
	}
}

size_t kring_stream_peek(struct kring_stream *stream, unsigned int channel, const void **at)
{
	if (channel >= KRING_CHANNELS)
		return 0;
	return kring_queue_peek(&stream->in[channel].queue, 0, at);
}

void kring_stream_consume(struct kring_stream *stream, unsigned int channel, size_t len)
{
	struct channel_in *in = &stream->in[channel];

	if (channel >= KRING_CHANNELS || stream->state == STREAM_DEAD)
		return;
	if (len > in->queue.len)
		len = in->queue.len;
	kring_queue_drop(&in->queue, len);
	give_credit(stream, channel);
	/* That it has closed is told from where callbacks come. */
	if (stream->peer_closed && !stream->closed_told && all_consumed(stream))
		mux_output(stream->mux, stream);
}

bool kring_stream_ended(const struct kring_stream *stream, unsigned int channel)
{
	return channel < KRING_CHANNELS && stream->in[channel].ended &&
	       !stream->in[channel].queue.len;
}

static void tell_readable(struct kring_stream *stream, unsigned int channel)
{
	if (stream->ops && stream->ops->readable && !stream->detached)
		stream->ops->readable(stream, channel);
}

/* Each complete message of the channel of CONTROL. */
static void tell_control(struct kring_stream *stream)
{
	struct channel_in *in = &stream->in[KRING_CHANNEL_CONTROL];
	uint32_t len;
	void *message;

	while (stream->state != STREAM_DEAD && in->queue.len >= CONTROL_PREFIX) {
		kring_queue_copy(&in->queue, 0, &len, CONTROL_PREFIX);
		len = le32toh(len);
		if (len > KRING_CONTROL_MAX) {
			stream_break(stream, EPROTO, "CONTROL message of %u bytes", len);
			return;
		}
		if (in->queue.len < CONTROL_PREFIX + len)
			return;
		message = malloc(len ? len : 1);
		if (!message) {
			stream_break(stream, ENOMEM, "no memory");
			return;
		}
		kring_queue_copy(&in->queue, CONTROL_PREFIX, message, len);
		kring_queue_drop(&in->queue, CONTROL_PREFIX + len);
		give_credit(stream, KRING_CHANNEL_CONTROL);
		if (stream->ops && stream->ops->control && !stream->detached)
			stream->ops->control(stream, message, len);
		free(message);
	}
}

static void receive_bytes(struct kring_stream *stream, unsigned int channel, uint64_t offset,
			  const uint8_t *payload, size_t len)
{
	struct channel_in *in = &stream->in[channel];
	uint64_t again;

	if (offset > in->received) {
		stream_break(stream, EPROTO, "channel %u goes on at %llu, not at %llu", channel,
			     (unsigned long long)offset, (unsigned long long)in->received);
		return;
	}
	again = in->received - offset;
	if (again >= len)
		return;
	payload += again;
	len -= again;
	if (in->ended) {
		stream_break(stream, EPROTO, "channel %u goes on after its end", channel);
		return;
	}
	if (len > in->limit - in->received) {
		stream_break(stream, EPROTO, "channel %u has no credit beyond %llu", channel,
			     (unsigned long long)in->limit);
		return;
	}

	in->received += len;
	if (stream->detached) {
		give_credit(stream, channel);
		return;
	}
	if (stream->mux->memory + len > stream->mux->args.memory_max) {
		stream_break(stream, ENOBUFS, "the memory for all streams is used up");
		return;
	}
	if (kring_queue_append(&in->queue, payload, len)) {
		stream_break(stream, ENOMEM, "no memory");
		return;
	}
	if (channel == KRING_CHANNEL_CONTROL) {
		tell_control(stream);
	} else {
		stream->mux->stats.bytes_received += len;
		tell_readable(stream, channel);
	}
}

static void receive_eof(struct kring_stream *stream, unsigned int channel, uint64_t offset)
{
	struct channel_in *in = &stream->in[channel];

	if (offset != in->received) {
		stream_break(stream, EPROTO, "channel %u ends at %llu, not at %llu", channel,
			     (unsigned long long)offset, (unsigned long long)in->received);
		return;
	}
	if (in->ended)
		return;
	in->ended = true;
	tell_readable(stream, channel);
}

/*
 * True when a message that may be continued is complete. The stream may have ended when it
 * is not.
 */
static bool receive_message(struct kring_stream *stream,
			    const struct kring_stream_header *header, const uint8_t *payload,
			    size_t len)
{
	int code;

	if (stream->incoming_type && stream->incoming_type != header->type) {
		stream_break(stream, EPROTO, "a message of type %u begins within one of type %u",
			     header->type, stream->incoming_type);
		return false;
	}
	stream->incoming_type = header->type;
	code = message_append(stream->mux, &stream->incoming, payload, len);
	if (code) {
		stream_break(stream, -code, code == -EMSGSIZE ? "message of more than %u bytes" :
			     "no memory for a message, of %u bytes at most", KRING_MESSAGE_MAX);
		return false;
	}
	if (le16toh(header->flags) & KRING_STREAM_MORE)
		return false;
	stream->incoming_type = 0;
	return true;
}

static void receive_open(struct kring_stream *stream)
{
	struct kring_mux *mux = stream->mux;
	struct message request = stream->incoming;

	memset(&stream->incoming, 0, sizeof(stream->incoming));
	stream->state = STREAM_OFFERED;
	if (mux->args.ops->opened)
		mux->args.ops->opened(mux, stream, stream->parent, request.bytes, request.len);
	message_clear(mux, &request);
}

static void receive_accept(struct kring_stream *stream)
{
	struct message reply = stream->incoming;

	memset(&stream->incoming, 0, sizeof(stream->incoming));
	stream->state = STREAM_OPEN;
	if (stream->ops && stream->ops->accepted && !stream->detached)
		stream->ops->accepted(stream, reply.bytes, reply.len);
	message_clear(stream->mux, &reply);
	/* It has arrived. */
	if (stream->state != STREAM_DEAD)
		message_clear(stream->mux, &stream->start);
}

bool stream_may_tell(const struct kring_stream *stream)
{
	return stream->state != STREAM_DEAD && stream->state != STREAM_OFFERED &&
	       stream->peer_closed && !stream->closed_told && !stream->detached &&
	       all_consumed(stream);
}

/* Tells the owner that the peer has closed, once it has consumed all. */
void stream_tell_closed(struct kring_stream *stream)
{
	if (!stream_may_tell(stream))
		return;
	stream->closed_told = true;
	if (stream->ops && stream->ops->closed)
		stream->ops->closed(stream, stream->incoming.bytes, stream->incoming.len);
}

static void receive_close(struct kring_stream *stream)
{
	unsigned int i;

	stream->peer_closed = true;
	for (i = 0; i < KRING_CHANNELS && stream->state != STREAM_DEAD; i++) {
		if (stream->in[i].ended)
			continue;
		stream->in[i].ended = true;
		if (stream->channels & 1U << i)
			tell_readable(stream, i);
	}
	stream_tell_closed(stream);
	/* Our own CLOSE may have been sent long ago. */
	if (stream->state != STREAM_DEAD && stream->detached) {
		if (stream->close.pending)
			mux_output(stream->mux, stream);
		else
			stream_end(stream, true);
	}
}

static bool channel_may(const struct kring_stream *stream, unsigned int channel)
{
	/* The owner has not said yet which it wants. */
	if (stream->state == STREAM_OFFERED)
		return channel < KRING_CHANNELS;
	return channel < KRING_CHANNELS && stream->channels & 1U << channel;
}

/* Whether a frame of @type makes sense now. */
static bool expected(const struct kring_stream *stream, uint8_t type)
{
	switch (type) {
	case KRING_STREAM_OPEN:
		return stream->state == STREAM_INCOMING;
	case KRING_STREAM_ACCEPT:
		return stream->state == STREAM_OPENING && stream->announced &&
		       !stream->start.pending;
	case KRING_STREAM_RESET:
		return true;
	case KRING_STREAM_DATA:
	case KRING_STREAM_CONTROL:
	case KRING_STREAM_EOF:
	case KRING_STREAM_CLOSE:
		return !stream->peer_closed &&
		       (stream->state == STREAM_OFFERED || stream->state == STREAM_OPEN);
	case KRING_STREAM_ACK:
		return stream->state != STREAM_INCOMING;
	}
	return false;
}

void stream_receive(struct kring_stream *stream, const struct kring_stream_header *header,
		    const uint8_t *payload, size_t len)
{
	uint64_t offset = le64toh(header->offset);
	unsigned int channel = header->channel;

	if (stream->parked && header->type != KRING_STREAM_RESET)
		return;
	if (!expected(stream, header->type)) {
		stream_break(stream, EPROTO, "a frame of type %u does not belong here",
			     header->type);
		return;
	}
	switch (header->type) {
	case KRING_STREAM_OPEN:
		if (receive_message(stream, header, payload, len))
			receive_open(stream);
		return;
	case KRING_STREAM_ACCEPT:
		if (receive_message(stream, header, payload, len))
			receive_accept(stream);
		return;
	case KRING_STREAM_CLOSE:
		if (receive_message(stream, header, payload, len))
			receive_close(stream);
		return;
	case KRING_STREAM_RESET:
		stream->mux->stats.resets_received++;
		stream_fail(stream, payload, len);
		return;
	case KRING_STREAM_CONTROL:
		if (channel == KRING_CHANNEL_CONTROL) {
			receive_bytes(stream, channel, offset, payload, len);
			return;
		}
		break;
	case KRING_STREAM_DATA:
		if (channel_may(stream, channel)) {
			receive_bytes(stream, channel, offset, payload, len);
			return;
		}
		break;
	case KRING_STREAM_EOF:
		if (channel_may(stream, channel)) {
			receive_eof(stream, channel, offset);
			return;
		}
		break;
	case KRING_STREAM_ACK:
		if (channel < CHANNELS) {
			stream_receive_ack(stream, channel, offset, payload, len);
			return;
		}
		break;
	}
	stream_break(stream, EPROTO, "channel %u is not for a frame of type %u", channel,
		     header->type);
}
