// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A stream that goes on over another connection: each end tells what it has, and the other
 * sends again what is missing.
 */
#include <errno.h>
#include <string.h>

#include "mux_internal.h"

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
