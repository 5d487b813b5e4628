// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One stream: its life, its channels, their credit.
 *
 * A position is counted where the application takes its bytes: so an ACK says what need not
 * be sent again, and a slow reader stalls its own stream alone.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "mux_internal.h"

/* What each channel may hold even where the memory for all is used up. */
#define SHARE_MIN	4096

#define CONTROL_PREFIX	sizeof(uint32_t)

static uint64_t written(const struct channel_out *out)
{
	return out->acked + out->queue.len;
}

static uint64_t consumed(const struct channel_in *in)
{
	return in->received - in->queue.len;
}

static bool all_consumed(const struct kring_stream *stream)
{
	unsigned int i;

	for (i = 0; i < KRING_CHANNELS; i++)
		if (stream->in[i].queue.len)
			return false;
	return true;
}

/*
 * Life
 */

struct kring_stream *stream_new(struct kring_mux *mux, uint32_t number)
{
	struct kring_stream *stream = calloc(1, sizeof(*stream));
	unsigned int i;

	if (!stream)
		return NULL;
	stream->mux = mux;
	stream->number = number;
	for (i = 0; i < CHANNELS; i++) {
		stream->out[i].queue.memory = &mux->memory;
		stream->out[i].limit = KRING_STREAM_WINDOW;
		stream->in[i].queue.memory = &mux->memory;
		stream->in[i].limit = KRING_STREAM_WINDOW;
		stream->in[i].window = KRING_STREAM_WINDOW;
	}
	LIST_INSERT_HEAD(&mux->table[(number >> 1) % BUCKETS], stream, bucket);
	mux->stats.streams++;
	return stream;
}

static void message_clear(struct kring_mux *mux, struct message *message)
{
	mux->memory -= message->len;
	free(message->bytes);
	memset(message, 0, sizeof(*message));
}

static int message_append(struct kring_mux *mux, struct message *message, const void *bytes,
			  size_t len)
{
	uint8_t *larger;

	if (len > KRING_MESSAGE_MAX - message->len)
		return -EMSGSIZE;
	if (!len)
		return 0;
	larger = realloc(message->bytes, message->len + len);
	if (!larger)
		return -ENOMEM;
	memcpy(larger + message->len, bytes, len);
	message->bytes = larger;
	message->len += len;
	mux->memory += len;
	return 0;
}

void stream_end(struct kring_stream *stream)
{
	struct kring_mux *mux = stream->mux;
	unsigned int i;

	if (stream->state == STREAM_DEAD)
		return;
	stream->state = STREAM_DEAD;
	LIST_REMOVE(stream, bucket);
	if (stream->ready)
		TAILQ_REMOVE(&mux->ready, stream, turns);
	stream->ready = false;
	if (!stream->ours)
		mux->peer_streams--;
	mux->credit -= stream->credit;
	mux->stats.streams--;
	for (i = 0; i < CHANNELS; i++) {
		mux->extra -= stream->in[i].window - KRING_STREAM_WINDOW;
		kring_queue_clear(&stream->in[i].queue);
		kring_queue_clear(&stream->out[i].queue);
	}
	message_clear(mux, &stream->start);
	message_clear(mux, &stream->close);
	message_clear(mux, &stream->incoming);
	if (mux->depth)
		TAILQ_INSERT_TAIL(&mux->dead, stream, turns);
	else
		free(stream);
}

void stream_fail(struct kring_stream *stream, const void *error, size_t len)
{
	const struct kring_stream_ops *ops = stream->ops;

	stream_end(stream);
	if (ops && ops->reset && !stream->detached)
		ops->reset(stream, error, len);
}

static void send_reset(struct kring_stream *stream, const void *error, size_t len)
{
	/* It has not heard of the stream, and need not. */
	if (!stream->announced)
		return;
	stream->mux->stats.resets_sent++;
	mux_notice(stream->mux, KRING_STREAM_RESET, stream->number, 0, error, len);
}

void kring_stream_reset(struct kring_stream *stream, const void *error, size_t len)
{
	if (stream->state == STREAM_DEAD)
		return;
	if (stream->state == STREAM_OFFERED)
		stream->mux->stats.streams_refused++;
	send_reset(stream, error, len);
	stream_end(stream);
}

/* The peer did what it must not, or we cannot do what it may expect: both sides hear of it. */
__attribute__((format(printf, 3, 4)))
static void stream_break(struct kring_stream *stream, int code, const char *fmt, ...)
{
	struct kring_mux *mux = stream->mux;
	char text[128];
	va_list args;
	void *error;
	size_t len;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	mux_strange(mux, "stream %u: %s", stream->number, text);
	error = kring_pack_error(code, "stream", text, &len);
	if (!error)
		len = 0;
	send_reset(stream, error, len);
	stream_fail(stream, error, len);
	free(error);
}

struct kring_stream *kring_mux_open(struct kring_mux *mux, uint32_t parent,
				    const void *request, size_t len, unsigned int channels,
				    const struct kring_stream_ops *ops, void *owner)
{
	struct kring_stream *stream;
	int code;

	stream = stream_new(mux, kring_mux_take_number(mux));
	if (!stream) {
		errno = ENOMEM;
		return NULL;
	}
	stream->ours = true;
	stream->state = STREAM_OPENING;
	stream->parent = parent;
	stream->channels = channels;
	stream->ops = ops;
	stream->owner = owner;
	code = message_append(mux, &stream->start, request, len);
	if (code) {
		stream_end(stream);
		errno = -code;
		return NULL;
	}
	stream->start.pending = true;
	mux->stats.streams_opened++;
	mux_output(mux, stream);
	return stream;
}

int kring_stream_accept(struct kring_stream *stream, const void *reply, size_t len,
			unsigned int channels)
{
	unsigned int i;
	int code;

	if (stream->state != STREAM_OFFERED)
		return -EINVAL;
	code = message_append(stream->mux, &stream->start, reply, len);
	if (code)
		return code;
	stream->start.pending = true;
	stream->state = STREAM_OPEN;
	stream->channels = channels;
	stream->mux->credit -= stream->credit;
	stream->credit = 0;
	for (i = 0; i < KRING_CHANNELS; i++) {
		if (channels & 1U << i)
			stream->credit += KRING_STREAM_WINDOW;
		else	/* It could not know. */
			kring_queue_clear(&stream->in[i].queue);
	}
	stream->mux->credit += stream->credit;
	stream->mux->stats.streams_accepted++;
	mux_output(stream->mux, stream);
	return 0;
}

int kring_stream_close(struct kring_stream *stream, const void *result, size_t len)
{
	struct channel_out *out;
	unsigned int i;
	int code;

	if (stream->state == STREAM_DEAD)
		return 0;
	code = message_append(stream->mux, &stream->close, result, len);
	if (code || stream->state == STREAM_OFFERED) {
		kring_stream_reset(stream, NULL, 0);
		return code;
	}
	stream->close.pending = true;
	stream->detached = true;
	for (i = 0; i < CHANNELS; i++) {
		out = &stream->out[i];
		kring_queue_commit(&out->queue, 0);
		kring_queue_clear(&stream->in[i].queue);
		stream->in[i].ack = !stream->in[i].ended;
		out->ended = true;
		/* Nobody is there to take it. */
		if (stream->peer_closed) {
			out->acked = out->sent;
			kring_queue_clear(&out->queue);
		}
	}
	mux_output(stream->mux, stream);
	return 0;
}

void kring_stream_set_ops(struct kring_stream *stream, const struct kring_stream_ops *ops,
			  void *owner)
{
	stream->ops = ops;
	stream->owner = owner;
}

void *kring_stream_owner(const struct kring_stream *stream)
{
	return stream->owner;
}

struct kring_mux *kring_stream_mux(const struct kring_stream *stream)
{
	return stream->mux;
}

uint32_t kring_stream_number(const struct kring_stream *stream)
{
	return stream->number;
}

/*
 * To the peer
 */

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

static void receive_ack(struct kring_stream *stream, unsigned int channel, uint64_t offset,
			const uint8_t *payload, size_t len)
{
	struct channel_out *out = &stream->out[channel];
	uint32_t window;

	if (len != sizeof(window)) {
		stream_break(stream, EPROTO, "ACK with %zu bytes instead of 4", len);
		return;
	}
	memcpy(&window, payload, sizeof(window));
	if (offset > out->sent && offset > out->ahead) {
		stream_break(stream, EPROTO, "ACK of %llu bytes, and %llu were sent",
			     (unsigned long long)offset, (unsigned long long)out->sent);
		return;
	}
	window = le32toh(window);
	if (offset > out->acked) {
		uint64_t taken = offset < written(out) ? offset : written(out);

		kring_queue_drop(&out->queue, taken - out->acked);
		out->acked = taken;
		if (out->sent < taken)
			out->sent = taken;
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
 * From the peer
 */

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

/* Tells the owner that the peer has closed, once it has consumed all. */
static void tell_closed(struct kring_stream *stream)
{
	if (stream->state == STREAM_DEAD || stream->detached || !stream->peer_closed ||
	    stream->closed_told || stream->state == STREAM_OFFERED || !all_consumed(stream))
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
	tell_closed(stream);
	/* Our own CLOSE may have been sent long ago. */
	if (stream->state != STREAM_DEAD && stream->detached) {
		if (stream->close.pending)
			mux_output(stream->mux, stream);
		else
			stream_end(stream);
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

void stream_park(struct kring_stream *stream)
{
	struct kring_mux *mux = stream->mux;

	if (stream->ready)
		TAILQ_REMOVE(&mux->ready, stream, turns);
	stream->ready = false;
	stream->parked = true;
	/* What has arrived of a message comes again with the rest. */
	if (stream->incoming_type) {
		stream->incoming_type = 0;
		message_clear(mux, &stream->incoming);
	}
	/* Nobody knows of it here, and where it is from it is opened again. */
	if (stream->state == STREAM_INCOMING)
		stream_end(stream);
}

void kring_stream_describe(const struct kring_stream *stream, struct kring_resume *resume)
{
	const struct channel_in *in;
	unsigned int i;

	resume->accepted = stream->state == STREAM_OPEN;
	resume->closed = stream->peer_closed;
	for (i = 0; i < CHANNELS; i++) {
		in = &stream->in[i];
		resume->channels[i] = (struct kring_position){
			.received = in->received, .limit = in->limit, .ended = in->ended,
		};
	}
}

static void message_again(struct message *message)
{
	message->sent = 0;
	message->pending = true;
}

/* Nothing of it has arrived, or nothing is known to. */
static int resume_absent(struct kring_stream *stream)
{
	unsigned int i;

	if (stream->state != STREAM_OPENING)
		return -ENOENT;
	for (i = 0; i < CHANNELS; i++)
		if (stream->out[i].acked)
			return -ESTALE;
	for (i = 0; i < CHANNELS; i++) {
		stream->out[i].sent = 0;
		stream->out[i].limit = KRING_STREAM_WINDOW;
		stream->out[i].eof_sent = false;
	}
	stream->announced = false;
	message_again(&stream->start);
	return 0;
}

static int resume_channels(struct kring_stream *stream, const struct kring_resume *peer)
{
	const struct kring_position *position;
	struct channel_out *out;
	unsigned int i;

	for (i = 0; i < CHANNELS; i++)
		if (peer->channels[i].received < stream->out[i].acked)
			return -ESTALE;
	for (i = 0; i < CHANNELS; i++) {
		out = &stream->out[i];
		position = &peer->channels[i];
		out->sent = position->received < written(out) ? position->received : written(out);
		out->ahead = position->received;
		out->limit = position->limit;
		if (!position->ended)
			out->eof_sent = false;
	}
	return 0;
}

int kring_stream_resume(struct kring_stream *stream, const struct kring_resume *peer)
{
	int code;

	if (!stream->parked)
		return 0;
	/* It has ended there, with our CLOSE, and the other one was lost. */
	if (!peer && stream->detached && !stream->close.pending) {
		stream_end(stream);
		return 0;
	}
	code = peer ? resume_channels(stream, peer) : resume_absent(stream);
	if (code)
		return code;
	if (peer && !stream->ours && stream->state == STREAM_OPEN && !peer->accepted)
		message_again(&stream->start);
	if (peer && stream->ours)
		stream->start.pending = false;
	if (peer && stream->detached && !peer->closed)
		message_again(&stream->close);
	stream->parked = false;
	mux_output(stream->mux, stream);
	return 0;
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
			receive_ack(stream, channel, offset, payload, len);
			return;
		}
		break;
	}
	stream_break(stream, EPROTO, "channel %u is not for a frame of type %u", channel,
		     header->type);
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
		stream_end(stream);
	return len;
}

size_t stream_pull(struct kring_stream *stream, uint8_t *buf, bool *more)
{
	unsigned int i, channel;
	size_t len;

	tell_closed(stream);
	if (stream->state == STREAM_DEAD || stream->state == STREAM_INCOMING ||
	    stream->state == STREAM_OFFERED)
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
