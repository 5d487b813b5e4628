// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The stream multiplexer: one connection.
 *
 * What the peer can make us hold is bounded: streams by streams_max, their bytes by credit,
 * answers to what it sends by NOTICES_MAX, beyond which nothing more is taken from it.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "mux_internal.h"

#define STREAMS_MAX	1024
#define WINDOW		(256 << 10)
#define MEMORY_MAX	(128 << 20)

/* Answers that wait: those that must not be lost, and those that may. */
#define NOTICES_MAX	256
#define NOTICES_SPARE	64

void mux_strange(struct kring_mux *mux, const char *fmt, ...)
{
	char text[160];
	va_list args;

	mux->stats.strange++;
	if (!mux->args.ops->strange)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	mux->args.ops->strange(mux, text);
}

bool kring_mux_pending(const struct kring_mux *mux)
{
	return mux->notice_count || (!mux->held && !TAILQ_EMPTY(&mux->ready));
}

/* There may be something to pull, where there was or was not before. */
static void tell_output(struct kring_mux *mux, bool before)
{
	if (!before && kring_mux_pending(mux) && mux->args.ops->output)
		mux->args.ops->output(mux);
}

void mux_output(struct kring_mux *mux, struct kring_stream *stream)
{
	bool pending = kring_mux_pending(mux);

	if (stream) {
		if (stream->ready || stream->state == STREAM_DEAD)
			return;
		if ((stream->parked || stream->held) && !stream_may_tell(stream))
			return;
		stream->ready = true;
		TAILQ_INSERT_TAIL(&mux->ready, stream, turns);
	}
	tell_output(mux, pending);
}

void kring_mux_hold(struct kring_mux *mux, bool hold)
{
	bool pending = kring_mux_pending(mux);

	mux->held = hold;
	tell_output(mux, pending);
}

size_t mux_header(void *buf, uint8_t type, uint8_t channel, uint16_t flags, uint32_t stream,
		  uint64_t offset)
{
	struct kring_stream_header header = {
		.type = type,
		.channel = channel,
		.flags = htole16(flags),
		.stream = htole32(stream),
		.offset = htole64(offset),
	};

	memcpy(buf, &header, sizeof(header));
	return sizeof(header);
}

size_t mux_payload_max(const struct kring_mux *mux)
{
	uint32_t max = mux->args.frame_max;

	if (mux->peer_frame_max < max)
		max = mux->peer_frame_max;
	return max - sizeof(struct kring_stream_header);
}

void mux_notice(struct kring_mux *mux, uint8_t type, uint32_t stream, uint64_t offset,
		const void *payload, size_t len)
{
	size_t max = KRING_STREAM_FRAME_MIN - sizeof(struct kring_stream_header);
	struct notice *notice;
	bool pending;

	if (len > max)
		len = max;
	notice = malloc(sizeof(*notice) + sizeof(struct kring_stream_header) + len);
	if (!notice)
		return;
	notice->len = mux_header(notice->frame, type, 0, 0, stream, offset);
	if (len)
		memcpy(notice->frame + notice->len, payload, len);
	notice->len += len;

	pending = kring_mux_pending(mux);
	STAILQ_INSERT_TAIL(&mux->notices, notice, link);
	mux->notice_count++;
	tell_output(mux, pending);
}

struct kring_mux *kring_mux_new(const struct kring_mux_args *args)
{
	struct kring_mux *mux = calloc(1, sizeof(*mux));

	if (!mux)
		return NULL;
	mux->args = *args;
	kring_mux_set_frame_max(mux, args->frame_max);
	if (!mux->args.streams_max)
		mux->args.streams_max = STREAMS_MAX;
	if (!mux->args.window)
		mux->args.window = WINDOW;
	if (mux->args.window < KRING_STREAM_WINDOW)
		mux->args.window = KRING_STREAM_WINDOW;
	if (!mux->args.memory_max)
		mux->args.memory_max = MEMORY_MAX;
	/* Until it says otherwise. */
	mux->peer_frame_max = KRING_STREAM_FRAME_MAX;
	mux->next_number = args->role == KRING_ROLE_HOST ? 1 : 2;
	STAILQ_INIT(&mux->notices);
	TAILQ_INIT(&mux->ready);
	TAILQ_INIT(&mux->dead);
	return mux;
}

void mux_free_notices(struct kring_mux *mux, bool keep_hello)
{
	struct notice *notice, *next;

	notice = STAILQ_FIRST(&mux->notices);
	STAILQ_INIT(&mux->notices);
	mux->notice_count = 0;
	for (; notice; notice = next) {
		next = STAILQ_NEXT(notice, link);
		if (keep_hello && notice->frame[0] == KRING_STREAM_HELLO) {
			STAILQ_INSERT_TAIL(&mux->notices, notice, link);
			mux->notice_count++;
		} else {
			free(notice);
		}
	}
}

void mux_enter(struct kring_mux *mux)
{
	mux->depth++;
}

/* The streams that ended meanwhile can be freed once nobody below us may look at them. */
void mux_leave(struct kring_mux *mux)
{
	struct kring_stream *stream;

	if (--mux->depth)
		return;
	while ((stream = TAILQ_FIRST(&mux->dead))) {
		TAILQ_REMOVE(&mux->dead, stream, turns);
		free(stream);
	}
}

void kring_mux_reset_all(struct kring_mux *mux, const void *error, size_t len)
{
	struct stream_list all = LIST_HEAD_INITIALIZER(all);
	struct kring_stream *stream;
	unsigned int i;

	mux_enter(mux);
	/* Those that the callbacks open are for the next peer. */
	for (i = 0; i < BUCKETS; i++) {
		while ((stream = LIST_FIRST(&mux->table[i]))) {
			LIST_REMOVE(stream, bucket);
			LIST_INSERT_HEAD(&all, stream, bucket);
		}
	}
	while ((stream = LIST_FIRST(&all)))
		stream_fail(stream, error, len);
	/* What the callbacks wanted to tell the peer is not for the next one. */
	mux_free_notices(mux, true);
	memset(mux->cut, 0, sizeof(mux->cut));
	mux_leave(mux);
}

struct kring_stream *kring_mux_next(struct kring_mux *mux, const struct kring_stream *stream)
{
	unsigned int i = 0;

	if (stream) {
		if (LIST_NEXT(stream, bucket))
			return LIST_NEXT(stream, bucket);
		i = (stream->number >> 1) % BUCKETS + 1;
	}
	for (; i < BUCKETS; i++)
		if (!LIST_EMPTY(&mux->table[i]))
			return LIST_FIRST(&mux->table[i]);
	return NULL;
}

void kring_mux_free(struct kring_mux *mux)
{
	struct kring_stream *stream;
	unsigned int i;
	void *error;
	size_t len;

	if (!mux)
		return;
	error = kring_pack_error(ECANCELED, "connection", "it was closed", &len);
	kring_mux_reset_all(mux, error, error ? len : 0);
	free(error);
	for (i = 0; i < BUCKETS; i++)
		while ((stream = LIST_FIRST(&mux->table[i])))
			stream_end(stream, false);
	mux_free_notices(mux, false);
	free(mux);
}

void *kring_mux_owner(const struct kring_mux *mux)
{
	return mux->args.owner;
}

void kring_mux_stats(const struct kring_mux *mux, struct kring_mux_stats *stats)
{
	*stats = mux->stats;
	stats->memory = mux->memory;
}

static uint32_t clamp_frame_max(uint32_t frame_max)
{
	if (frame_max > KRING_STREAM_FRAME_MAX)
		return KRING_STREAM_FRAME_MAX;
	return frame_max < KRING_STREAM_FRAME_MIN ? KRING_STREAM_FRAME_MIN : frame_max;
}

void kring_mux_set_frame_max(struct kring_mux *mux, uint32_t frame_max)
{
	mux->args.frame_max = clamp_frame_max(frame_max);
}

void kring_mux_set_peer(struct kring_mux *mux, uint32_t frame_max)
{
	mux->peer_frame_max = clamp_frame_max(frame_max ? frame_max : KRING_STREAM_FRAME_MAX);
}

void kring_mux_set_deaf(struct kring_mux *mux, bool deaf)
{
	mux->deaf = deaf;
}

enum kring_role kring_mux_role(const struct kring_mux *mux)
{
	return mux->args.role;
}

int kring_mux_hello(struct kring_mux *mux, const void *message, size_t len)
{
	unsigned int before = mux->notice_count;

	mux_notice(mux, KRING_STREAM_HELLO, 0, 0, message, len);
	return mux->notice_count > before ? 0 : -ENOMEM;
}

void kring_mux_ping(struct kring_mux *mux, uint64_t cookie)
{
	mux_notice(mux, KRING_STREAM_PING, 0, cookie, NULL, 0);
}

struct kring_stream *kring_mux_find(struct kring_mux *mux, uint32_t number)
{
	struct kring_stream *stream;

	LIST_FOREACH(stream, &mux->table[(number >> 1) % BUCKETS], bucket)
		if (stream->number == number)
			return stream;
	return NULL;
}

uint32_t kring_mux_take_number(struct kring_mux *mux)
{
	uint32_t number;

	/* After 2^31 streams they come again, but not while they are in use; 0 is none. */
	do {
		number = mux->next_number;
		mux->next_number += 2;
	} while (!number || kring_mux_find(mux, number));
	return number;
}

void kring_mux_skip_number(struct kring_mux *mux, uint32_t number)
{
	bool ours = (number & 1) == (mux->next_number & 1);

	/* Numbers go round: those behind the next one are less than half of them away. */
	if (ours && (int32_t)(number - mux->next_number) >= 0)
		mux->next_number = number + 2;
}

static bool is_ours(const struct kring_mux *mux, uint32_t number)
{
	return (number & 1) == (mux->args.role == KRING_ROLE_HOST);
}

static void refuse(struct kring_mux *mux, uint32_t number, int code, const char *text)
{
	size_t len;
	void *error = kring_pack_error(code, "stream", text, &len);

	mux_notice(mux, KRING_STREAM_RESET, number, 0, error, error ? len : 0);
	free(error);
}

/* The rest of a refused OPEN is no OPEN of its own, whatever is in it. */
static bool take_rest(struct kring_mux *mux, uint32_t number, bool more)
{
	unsigned int i;

	for (i = 0; i < CUT_MAX; i++) {
		if (mux->cut[i] != number)
			continue;
		if (!more)
			mux->cut[i] = 0;
		return true;
	}
	return false;
}

static void expect_rest(struct kring_mux *mux, uint32_t number)
{
	mux->cut[mux->cut_next] = number;
	mux->cut_next = (mux->cut_next + 1) % CUT_MAX;
}

static int receive_open(struct kring_mux *mux, const struct kring_stream_header *header,
			const uint8_t *payload, size_t len)
{
	uint32_t number = le32toh(header->stream);
	struct kring_stream *stream = NULL;
	const char *text;
	int code;

	if (mux->notice_count >= NOTICES_MAX)
		return -EAGAIN;
	if (is_ours(mux, number)) {
		mux_strange(mux, "OPEN of stream %u, which is not the peer's to open", number);
		return 0;
	}
	if (mux->peer_streams >= mux->args.streams_max) {
		code = EMFILE;
		text = "too many streams are open";
	} else if (mux->credit + KRING_STREAM_WINDOW > mux->args.memory_max / 2) {
		code = ENOBUFS;
		text = "the streams that are open may take all the memory there is for them";
	} else {
		stream = stream_new(mux, number);
		code = ENOMEM;
		text = "no memory";
	}
	if (!stream) {
		mux->stats.streams_refused++;
		refuse(mux, number, code, text);
		return 0;
	}
	mux->peer_streams++;
	stream->credit = KRING_STREAM_WINDOW;
	mux->credit += stream->credit;
	stream->announced = true;
	stream->parent = le64toh(header->offset);
	stream_receive(stream, header, payload, len);
	return 0;
}

/* What comes for a stream that is over is no crime: it was on its way. */
static void receive_stray(struct kring_mux *mux, uint8_t type, uint32_t number)
{
	switch (type) {
	case KRING_STREAM_ACK:
	case KRING_STREAM_CLOSE:
	case KRING_STREAM_RESET:
		return;
	}
	if (mux->notice_count < NOTICES_SPARE)
		refuse(mux, number, ENOENT, "there is no such stream");
}

static void receive_connection(struct kring_mux *mux, const struct kring_stream_header *header,
			       const uint8_t *payload, size_t len)
{
	const struct kring_mux_ops *ops = mux->args.ops;

	switch (header->type) {
	case KRING_STREAM_HELLO:
		if (ops->hello)
			ops->hello(mux, payload, len);
		return;
	case KRING_STREAM_RESTORED:
		if (ops->restored)
			ops->restored(mux, le64toh(header->offset), payload, len);
		return;
	case KRING_STREAM_RESUME:
		if (ops->resume)
			ops->resume(mux, payload, len);
		return;
	}
	mux_strange(mux, "frame of type %u without a stream", header->type);
}

static int receive(struct kring_mux *mux, const uint8_t *frame, size_t len)
{
	struct kring_stream_header header;
	struct kring_stream *stream;
	uint32_t number;
	bool more;

	if (len < sizeof(header)) {
		mux_strange(mux, "frame of %zu bytes, which has no header", len);
		return 0;
	}
	if (len > KRING_STREAM_FRAME_MAX) {
		mux_strange(mux, "frame of %zu bytes, longer than any may be", len);
		return 0;
	}
	memcpy(&header, frame, sizeof(header));
	frame += sizeof(header);
	len -= sizeof(header);
	number = le32toh(header.stream);

	if (mux->deaf && header.type != KRING_STREAM_HELLO)
		return 0;
	switch (header.type) {
	case KRING_STREAM_PING:
		if (len > KRING_PING_MAX)
			mux_strange(mux, "PING with %zu bytes", len);
		else if (mux->notice_count < NOTICES_SPARE)
			mux_notice(mux, KRING_STREAM_PONG, number, le64toh(header.offset),
				   frame, len);
		return 0;
	case KRING_STREAM_PONG:
		if (mux->args.ops->pong)
			mux->args.ops->pong(mux, le64toh(header.offset));
		return 0;
	case KRING_STREAM_HELLO:
		/* Its answer must not be lost. */
		if (mux->notice_count >= NOTICES_MAX)
			return -EAGAIN;
		break;
	}
	if (!number) {
		receive_connection(mux, &header, frame, len);
		return 0;
	}

	more = header.type == KRING_STREAM_OPEN && le16toh(header.flags) & KRING_STREAM_MORE;
	stream = kring_mux_find(mux, number);
	if (stream)
		stream_receive(stream, &header, frame, len);
	else if (header.type != KRING_STREAM_OPEN)
		receive_stray(mux, header.type, number);
	else if (take_rest(mux, number, more))
		return 0;
	else if (receive_open(mux, &header, frame, len))
		return -EAGAIN;
	if (more && !is_ours(mux, number) && !kring_mux_find(mux, number))
		expect_rest(mux, number);
	return 0;
}

int kring_mux_receive(struct kring_mux *mux, const void *frame, size_t len)
{
	int code;

	mux_enter(mux);
	code = receive(mux, frame, len);
	if (!code)
		mux->stats.frames_received++;
	mux_leave(mux);
	return code;
}

static size_t pull(struct kring_mux *mux, uint8_t *buf, size_t size)
{
	struct kring_stream *stream;
	struct notice *notice;
	bool more;
	size_t len;

	notice = STAILQ_FIRST(&mux->notices);
	if (notice) {
		STAILQ_REMOVE_HEAD(&mux->notices, link);
		mux->notice_count--;
		len = notice->len <= size ? notice->len : size;
		memcpy(buf, notice->frame, len);
		free(notice);
		return len;
	}
	while (!mux->held && (stream = TAILQ_FIRST(&mux->ready))) {
		/* Out of the list before it is asked: it may end, or come in again. */
		TAILQ_REMOVE(&mux->ready, stream, turns);
		stream->ready = false;
		more = false;
		len = stream_pull(stream, buf, &more);
		if (more && !stream->ready && stream->state != STREAM_DEAD) {
			stream->ready = true;
			TAILQ_INSERT_TAIL(&mux->ready, stream, turns);
		}
		if (len)
			return len;
	}
	return 0;
}

size_t kring_mux_pull(struct kring_mux *mux, void *buf, size_t size)
{
	size_t len;

	if (size < mux->args.frame_max)
		return 0;
	mux_enter(mux);
	len = pull(mux, buf, size);
	if (len)
		mux->stats.frames_sent++;
	mux_leave(mux);
	return len;
}
