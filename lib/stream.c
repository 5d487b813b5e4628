// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One stream: its life, from OPEN to the second CLOSE, or to RESET.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "mux_internal.h"

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

void message_clear(struct kring_mux *mux, struct message *message)
{
	mux->memory -= message->len;
	free(message->bytes);
	memset(message, 0, sizeof(*message));
}

int message_append(struct kring_mux *mux, struct message *message, const void *bytes, size_t len)
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

void stream_end(struct kring_stream *stream, bool closed)
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
	if (stream->parked)
		stream_go_on_children(stream);
	if (stream->done && stream->detached)
		stream->done(stream->done_owner, closed);
	if (mux->depth)
		TAILQ_INSERT_TAIL(&mux->dead, stream, turns);
	else
		free(stream);
}

void stream_fail(struct kring_stream *stream, const void *error, size_t len)
{
	const struct kring_stream_ops *ops = stream->ops;

	stream_end(stream, false);
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
	stream_end(stream, false);
}

void kring_stream_fail(struct kring_stream *stream, const void *error, size_t len)
{
	struct kring_mux *mux = stream->mux;

	if (stream->state == STREAM_DEAD)
		return;
	mux_enter(mux);
	send_reset(stream, error, len);
	stream_fail(stream, error, len);
	mux_leave(mux);
}

void stream_refuse(struct kring_stream *stream, int code, const char *text)
{
	size_t len;
	void *error = kring_pack_error(code, "stream", text, &len);

	if (!error)
		len = 0;
	kring_stream_fail(stream, error, len);
	free(error);
}

/* The peer did what it must not, or we cannot do what it may expect: both sides hear of it. */
void stream_break(struct kring_stream *stream, int code, const char *fmt, ...)
{
	char text[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	mux_strange(stream->mux, "stream %u: %s", stream->number, text);
	stream_refuse(stream, code, text);
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
		stream_end(stream, false);
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

void kring_stream_on_done(struct kring_stream *stream, void (*done)(void *owner, bool closed),
			  void *owner)
{
	stream->done = done;
	stream->done_owner = owner;
}

void kring_stream_set_on_fork(struct kring_stream *stream, int policy)
{
	stream->on_fork = policy;
}

int kring_stream_on_fork(const struct kring_stream *stream)
{
	return stream->on_fork;
}

void kring_stream_hold(struct kring_stream *stream, bool hold)
{
	stream->held = hold;
	if (!hold)
		mux_output(stream->mux, stream);
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
