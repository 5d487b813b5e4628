// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * RESUME: what each side says of its streams, in frames that any connection takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "mux_internal.h"

/* Streams of one frame, at most. */
#define BATCH	16

/**
 * struct batch - one message while it is put together
 * @resume: the message
 * @size: its bytes
 * @streams: of @resume
 * @tokens: of @streams
 * @at: of @resume
 * @positions: of @streams
 * @position_at: of @streams
 */
struct batch {
	Kring__Resume resume;
	size_t size;
	Kring__Resume__Stream streams[BATCH];
	uint8_t tokens[BATCH][KRING_TOKEN_LEN];
	Kring__Resume__Stream *at[BATCH];
	Kring__Resume__Position positions[BATCH][CHANNELS];
	Kring__Resume__Position *position_at[BATCH][CHANNELS];
};

static void batch_init(struct batch *batch)
{
	kring__resume__init(&batch->resume);
	batch->resume.streams = batch->at;
	batch->size = 0;
}

bool kring_resume_has_token(const struct kring_resume *resume)
{
	static const uint8_t none[KRING_TOKEN_LEN];

	return memcmp(resume->token, none, KRING_TOKEN_LEN);
}

/* A channel that nothing has happened on needs no words. */
static bool at_beginning(const struct kring_position *position)
{
	return !position->received && position->limit == KRING_STREAM_WINDOW && !position->ended;
}

static void fill_stream(struct batch *batch, unsigned int n, const struct kring_resume *from)
{
	Kring__Resume__Stream *stream = &batch->streams[n];
	Kring__Resume__Position *position;
	unsigned int i;

	kring__resume__stream__init(stream);
	stream->stream = from->number;
	stream->parent = from->parent;
	stream->absent = from->absent;
	stream->accepted = from->accepted;
	stream->closed = from->closed;
	if (kring_resume_has_token(from)) {
		memcpy(batch->tokens[n], from->token, KRING_TOKEN_LEN);
		stream->token.data = batch->tokens[n];
		stream->token.len = KRING_TOKEN_LEN;
	}
	stream->positions = batch->position_at[n];
	for (i = 0; i < CHANNELS && !from->absent; i++) {
		if (at_beginning(&from->channels[i]))
			continue;
		position = &batch->positions[n][stream->n_positions];
		kring__resume__position__init(position);
		position->channel = i;
		position->received = from->channels[i].received;
		position->limit = from->channels[i].limit;
		position->ended = from->channels[i].ended;
		stream->positions[stream->n_positions++] = position;
	}
	batch->at[n] = stream;
}

static int say(struct kring_mux *mux, uint8_t type, uint64_t offset, const void *message,
	       size_t len)
{
	unsigned int before = mux->notice_count;

	mux_notice(mux, type, 0, offset, message, len);
	return mux->notice_count > before ? 0 : -ENOMEM;
}

static int batch_say(struct batch *batch, struct kring_mux *mux)
{
	size_t len;
	void *bytes = kring_pack(&batch->resume.base, &len);
	int code = -ENOMEM;

	if (bytes)
		code = say(mux, KRING_STREAM_RESUME, 0, bytes, len);
	free(bytes);
	batch_init(batch);
	return code;
}

static int batch_add(struct batch *batch, struct kring_mux *mux, const struct kring_resume *from)
{
	const size_t max = KRING_STREAM_FRAME_MIN - sizeof(struct kring_stream_header);
	unsigned int n = batch->resume.n_streams;
	size_t size;
	int code;

	fill_stream(batch, n, from);
	batch->resume.n_streams++;
	/* With room for @complete. */
	size = kring__resume__get_packed_size(&batch->resume) + 2;
	if (size <= max && batch->resume.n_streams < BATCH)
		return 0;
	if (size <= max)
		return batch_say(batch, mux);
	batch->resume.n_streams--;
	code = batch_say(batch, mux);
	return code ? code : batch_add(batch, mux, from);
}

static int batch_end(struct batch *batch, struct kring_mux *mux, bool complete)
{
	batch->resume.complete = complete;
	return complete || batch->resume.n_streams ? batch_say(batch, mux) : 0;
}

/* All streams that wait for it. */
static int add_parked(struct batch *batch, struct kring_mux *mux)
{
	struct kring_resume resume;
	struct kring_stream *stream;
	int code = 0;

	for (stream = kring_mux_next(mux, NULL); stream && !code;
	     stream = kring_mux_next(mux, stream)) {
		if (!stream->parked)
			continue;
		kring_stream_describe(stream, &resume);
		code = batch_add(batch, mux, &resume);
	}
	return code;
}

int kring_mux_resume(struct kring_mux *mux, const struct kring_resume *streams, size_t count,
		     bool complete)
{
	struct batch *batch = malloc(sizeof(*batch));
	int code = 0;
	size_t i;

	if (!batch)
		return -ENOMEM;
	batch_init(batch);
	if (!streams)
		code = add_parked(batch, mux);
	for (i = 0; streams && i < count && !code; i++)
		code = batch_add(batch, mux, &streams[i]);
	if (!code)
		code = batch_end(batch, mux, complete);
	free(batch);
	return code;
}

/*
 * What the peer says
 */

static int load_position(struct kring_resume *resume, const Kring__Resume__Position *from)
{
	if (from->channel >= CHANNELS)
		return -EBADMSG;
	resume->channels[from->channel] = (struct kring_position){
		.received = from->received, .limit = from->limit, .ended = from->ended,
	};
	return 0;
}

static int load_stream(struct kring_resume *resume, const Kring__Resume__Stream *from)
{
	int code = 0;
	size_t i;

	memset(resume, 0, sizeof(*resume));
	if (!from->stream || (from->token.len && from->token.len != KRING_TOKEN_LEN))
		return -EBADMSG;
	resume->number = from->stream;
	resume->parent = from->parent;
	if (from->token.len)
		memcpy(resume->token, from->token.data, KRING_TOKEN_LEN);
	resume->absent = from->absent;
	resume->accepted = from->accepted;
	resume->closed = from->closed;
	for (i = 0; i < CHANNELS; i++)
		resume->channels[i].limit = KRING_STREAM_WINDOW;
	for (i = 0; i < from->n_positions && !code; i++)
		code = load_position(resume, from->positions[i]);
	return code;
}

static const char *resume_fault(int code)
{
	switch (code) {
	case -EOWNERDEAD:
		return "the other end was replaced: whether it has begun with this is not known";
	case -ECONNRESET:
		return "the other end was replaced";
	case -ESTALE:
		return "one end has gone back to before what the other one has already";
	}
	return "the other end does not have it any more";
}

static void go_on(struct kring_stream *stream, const struct kring_resume *resume)
{
	int code = kring_stream_resume(stream, resume->absent ? NULL : resume);

	if (code)
		stream_refuse(stream, -code, resume_fault(code));
}

/* Whether @resume is about a stream of ours that waits for it. */
static struct kring_stream *find_parked(struct kring_mux *mux, const struct kring_resume *resume)
{
	struct kring_stream *stream = kring_mux_find(mux, resume->number);

	if (!stream || !stream->parked)
		return NULL;
	if (!kring_resume_has_token(resume))
		return resume->absent ? stream : NULL;
	return memcmp(stream->token, resume->token, KRING_TOKEN_LEN) ? NULL : stream;
}

/* The peer has said all that it has. Callbacks may end any stream. */
static void end_parked(struct kring_mux *mux)
{
	static const struct kring_resume absent = { .absent = true };
	struct kring_stream *stream = kring_mux_next(mux, NULL);

	while (stream) {
		if (stream->parked) {
			go_on(stream, &absent);
			stream = kring_mux_next(mux, NULL);
		} else {
			stream = kring_mux_next(mux, stream);
		}
	}
}

int kring_mux_resumed(struct kring_mux *mux, const void *message, size_t len,
		      void (*strange)(void *owner, const struct kring_resume *stream),
		      void *owner)
{
	Kring__Resume *said = kring_unpack(&kring__resume__descriptor, message, len);
	struct kring_resume resume;
	struct kring_stream *stream;
	int code = 0;
	size_t i;

	if (!said)
		return -EBADMSG;
	mux_enter(mux);
	for (i = 0; i < said->n_streams && !code; i++) {
		code = load_stream(&resume, said->streams[i]);
		if (code)
			break;
		stream = find_parked(mux, &resume);
		if (stream)
			go_on(stream, &resume);
		else if (strange)
			strange(owner, &resume);
	}
	if (!code && said->complete) {
		end_parked(mux);
		code = 1;
	}
	mux_leave(mux);
	kring_unpack_free(said);
	return code;
}

int kring_mux_restored(struct kring_mux *mux, uint64_t generation, const void *message,
		       size_t len)
{
	return say(mux, KRING_STREAM_RESTORED, generation, message, len);
}
