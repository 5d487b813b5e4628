// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A stream that goes on over another connection: each end tells what it has, and the other
 * sends again what is missing. How that is told is in resume_message.c.
 */
#include <errno.h>
#include <string.h>

#include "mux_internal.h"

/* The connection is gone. May end it, where the peer must begin anew anyway. */
static void park(struct kring_stream *stream)
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
		stream_end(stream, false);
	else
		mux_output(mux, stream);
}

void kring_mux_park(struct kring_mux *mux)
{
	struct kring_stream *stream, *next;

	mux_enter(mux);
	for (stream = kring_mux_next(mux, NULL); stream; stream = next) {
		next = kring_mux_next(mux, stream);
		park(stream);
	}
	mux_free_notices(mux, true);
	mux_leave(mux);
}

void kring_mux_doubt(struct kring_mux *mux)
{
	struct kring_stream *stream;

	/* One that belongs to another one ends where that does, and goes on only if that does. */
	for (stream = kring_mux_next(mux, NULL); stream; stream = kring_mux_next(mux, stream))
		stream->doubtful |= stream->parked && !stream->parent;
}

void kring_stream_set_token(struct kring_stream *stream, const void *token)
{
	if (token)
		memcpy(stream->token, token, KRING_TOKEN_LEN);
	else
		memset(stream->token, 0, KRING_TOKEN_LEN);
}

void kring_stream_describe(const struct kring_stream *stream, struct kring_resume *resume)
{
	const struct channel_in *in;
	unsigned int i;

	memset(resume, 0, sizeof(*resume));
	resume->number = stream->number;
	resume->parent = stream->parent;
	memcpy(resume->token, stream->token, KRING_TOKEN_LEN);
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
	bool asked = stream->announced && !stream->start.pending;
	unsigned int i;

	if (stream->state != STREAM_OPENING)
		return stream->doubtful ? -ECONNRESET : -ENOENT;
	if (stream->doubtful && asked)
		return -EOWNERDEAD;
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

	/* What was acknowledged is not there any more, and what was not sent nobody can have. */
	for (i = 0; i < CHANNELS; i++) {
		out = &stream->out[i];
		position = &peer->channels[i];
		if (position->received < out->acked || position->received > out->sent)
			return -ESTALE;
	}
	for (i = 0; i < CHANNELS; i++) {
		out = &stream->out[i];
		position = &peer->channels[i];
		out->sent = position->received;
		out->limit = position->limit;
		if (!position->ended)
			out->eof_sent = false;
	}
	return 0;
}

/* What was taken may have been told on the connection that was lost, and to nobody. */
static void ack_again(struct kring_stream *stream)
{
	unsigned int i;

	for (i = 0; i < CHANNELS; i++)
		if (stream->in[i].received)
			stream->in[i].ack = true;
}

void stream_go_on_children(const struct kring_stream *parent)
{
	struct kring_mux *mux = parent->mux;
	struct kring_stream *stream;

	for (stream = kring_mux_next(mux, NULL); stream; stream = kring_mux_next(mux, stream))
		if (stream->ours && !stream->announced && stream->parent == parent->number)
			mux_output(mux, stream);
}

int kring_stream_resume(struct kring_stream *stream, const struct kring_resume *peer)
{
	int code;

	if (!stream->parked)
		return 0;
	/* It has ended there, with our CLOSE, and the other one was lost. */
	if (!peer && stream->detached && !stream->close.pending) {
		stream_end(stream, true);
		return 0;
	}
	code = peer ? resume_channels(stream, peer) : resume_absent(stream);
	if (code)
		return code;
	if (peer)
		ack_again(stream);
	if (peer && !stream->ours && stream->state == STREAM_OPEN && !peer->accepted)
		message_again(&stream->start);
	if (peer && stream->ours)
		stream->start.pending = false;
	if (peer && stream->detached && !peer->closed)
		message_again(&stream->close);
	stream->parked = false;
	stream->doubtful = false;
	mux_output(stream->mux, stream);
	stream_go_on_children(stream);
	return 0;
}
