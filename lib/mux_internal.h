/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What mux.c and stream.c share: mux.c has the connection, stream.c what happens within one
 * stream.
 */
#ifndef KRING_MUX_INTERNAL_H
#define KRING_MUX_INTERNAL_H

#include <sys/queue.h>

#include "mux.h"
#include "queue.h"

/* All channels, with that of CONTROL. */
#define CHANNELS	(KRING_CHANNELS + 1)

/**
 * struct channel_out - bytes on their way to the peer
 * @queue: from what is not acknowledged on
 * @acked: position of the queue's front
 * @sent: position behind the last byte that was pulled
 * @limit: position up to which the peer takes bytes
 * @ended: kring_stream_eof()
 * @eof_sent: EOF was pulled
 * @blocked: the owner was told that there is no room
 */
struct channel_out {
	struct kring_queue queue;
	uint64_t acked;
	uint64_t sent;
	uint64_t limit;
	bool ended;
	bool eof_sent;
	bool blocked;
};

/**
 * struct channel_in - bytes that have come from the peer
 * @queue: what the owner has not consumed
 * @received: position of the next byte to come
 * @limit: position up to which the peer may send
 * @window: credit that is kept open before the owner
 * @ended: the peer has sent EOF, or closed
 * @ack: an ACK is to be sent
 */
struct channel_in {
	struct kring_queue queue;
	uint64_t received;
	uint64_t limit;
	uint32_t window;
	bool ended;
	bool ack;
};

/**
 * struct message - one that may be larger than a frame
 * @bytes: malloc()ed, NULL where there are none. They stay when all are sent: they may have
 *	to be sent again
 * @len: bytes
 * @sent: bytes that were pulled
 * @pending: its last frame is not pulled, or has not arrived
 */
struct message {
	uint8_t *bytes;
	size_t len;
	size_t sent;
	bool pending;
};

/**
 * enum stream_state - how far a stream is, besides its closing
 * @STREAM_INCOMING: the peer's OPEN is not complete
 * @STREAM_OFFERED: it is, and the owner has not accepted
 * @STREAM_OPENING: ours, and the peer has not accepted
 * @STREAM_OPEN: accepted
 * @STREAM_DEAD: to be freed as soon as no callback is under way
 */
enum stream_state {
	STREAM_INCOMING,
	STREAM_OFFERED,
	STREAM_OPENING,
	STREAM_OPEN,
	STREAM_DEAD,
};

/**
 * struct kring_stream - one stream
 * @mux: where it belongs to
 * @number: as in its frames
 * @parent: the stream that it belongs to
 * @state: how far it is
 * @parked: the connection is gone: nothing is sent or taken
 * @held: kring_stream_hold()
 * @doubtful: kring_mux_doubt()
 * @token: what it is resumed by
 * @on_fork: kring_stream_set_on_fork()
 * @ready: it is in the mux' list of those that have something to pull
 * @ours: opened by this side
 * @announced: the peer may know of it
 * @detached: the owner has closed it, and wants no callback
 * @peer_closed: CLOSE has arrived
 * @closed_told: the owner knows
 * @channels: bit mask of those that the peer may send DATA on
 * @credit: bytes of first windows, of a stream that the peer has opened
 * @turn: channel to look at next
 * @ops: callbacks, NULL: none
 * @owner: its owner's
 * @done: kring_stream_on_done()
 * @done_owner: its owner's
 * @start: OPEN or ACCEPT to be sent
 * @close: CLOSE to be sent
 * @incoming: OPEN, ACCEPT or CLOSE that is arriving, or that CLOSE until it is told
 * @incoming_type: which one is arriving
 * @out: to the peer
 * @in: from the peer
 * @bucket: in the mux' table
 * @turns: in the mux' list of ready or dead ones
 */
struct kring_stream {
	struct kring_mux *mux;
	uint32_t number;
	uint32_t parent;
	enum stream_state state;
	bool parked;
	bool held;
	bool doubtful;
	uint8_t token[KRING_TOKEN_LEN];
	int on_fork;
	bool ready;
	bool ours;
	bool announced;
	bool detached;
	bool peer_closed;
	bool closed_told;
	uint8_t channels;
	uint8_t turn;
	uint32_t credit;
	const struct kring_stream_ops *ops;
	void *owner;
	void (*done)(void *owner, bool closed);
	void *done_owner;
	struct message start;
	struct message close;
	struct message incoming;
	uint8_t incoming_type;
	struct channel_out out[CHANNELS];
	struct channel_in in[CHANNELS];

	LIST_ENTRY(kring_stream) bucket;
	TAILQ_ENTRY(kring_stream) turns;
};

/**
 * struct notice - a small frame that belongs to no stream, or to one that is over
 * @len: bytes
 * @frame: header and payload
 */
struct notice {
	STAILQ_ENTRY(notice) link;
	uint32_t len;
	uint8_t frame[];
};

/* In front of each message on the channel of CONTROL. */
#define CONTROL_PREFIX	sizeof(uint32_t)

/* Position behind the last byte that the owner has written. */
static inline uint64_t written(const struct channel_out *out)
{
	return out->acked + out->queue.len;
}

/* Position behind the last byte that the owner has taken. */
static inline uint64_t consumed(const struct channel_in *in)
{
	return in->received - in->queue.len;
}

#define BUCKETS		1024

/* OPENs that were refused before all of them had come. */
#define CUT_MAX		64

LIST_HEAD(stream_list, kring_stream);
TAILQ_HEAD(stream_queue, kring_stream);
STAILQ_HEAD(notice_queue, notice);

/**
 * struct kring_mux - one connection
 * @args: as given, defaults filled in
 * @peer_frame_max: the longest frame that the peer takes
 * @next_number: of the next stream that this side opens
 * @peer_streams: alive ones that the peer has opened
 * @credit: of all streams
 * @extra: bytes of credit beyond the first windows
 * @deaf: nothing but HELLO is taken
 * @held: nothing of streams is pulled
 * @depth: of callbacks under way
 * @cut: numbers of refused OPENs whose rest may be on its way; 0: none
 * @cut_next: the oldest of them
 * @notices: to be pulled before anything else
 * @notice_count: how many
 * @ready: streams that have something to pull, in their order
 * @dead: streams to be freed
 * @stats: counters
 * @memory: bytes in queues and messages
 * @table: streams by number
 */
struct kring_mux {
	struct kring_mux_args args;
	uint32_t peer_frame_max;
	uint32_t next_number;
	uint32_t peer_streams;
	size_t credit;
	size_t extra;
	bool deaf;
	bool held;
	unsigned int depth;
	uint32_t cut[CUT_MAX];
	unsigned int cut_next;
	struct notice_queue notices;
	unsigned int notice_count;
	struct stream_queue ready;
	struct stream_queue dead;
	struct kring_mux_stats stats;
	size_t memory;
	struct stream_list table[BUCKETS];
};

/* mux.c */

void mux_strange(struct kring_mux *mux, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Something may be pulled, of @stream where it is not NULL. */
void mux_output(struct kring_mux *mux, struct kring_stream *stream);

/* Queues a small frame, cut off at what a frame may have; without memory it is lost. */
void mux_notice(struct kring_mux *mux, uint8_t type, uint32_t stream, uint64_t offset,
		const void *payload, size_t len);

/* What waits to be said of the connection is not for the next one; but a Hello may be. */
void mux_free_notices(struct kring_mux *mux, bool keep_hello);

/* Around callbacks: streams that end between the two are freed behind the last of them. */
void mux_enter(struct kring_mux *mux);
void mux_leave(struct kring_mux *mux);

/* The longest payload of a frame to the peer. */
size_t mux_payload_max(const struct kring_mux *mux);

/* Writes a header to @buf; its size. */
size_t mux_header(void *buf, uint8_t type, uint8_t channel, uint16_t flags, uint32_t stream,
		  uint64_t offset);

/* stream.c */

struct kring_stream *stream_new(struct kring_mux *mux, uint32_t number);

/*
 * Takes it out of its mux; freed now, or when no callback is under way any more. @closed: by both
 * sides.
 */
void stream_end(struct kring_stream *stream, bool closed);

/* Ends it, and tells its owner. */
void stream_fail(struct kring_stream *stream, const void *error, size_t len);

/* The same, and the peer is told, where it may know of the stream. */
void stream_refuse(struct kring_stream *stream, int code, const char *text);

/* The peer did what it must not, or we cannot do what it may expect: both sides hear of it. */
void stream_break(struct kring_stream *stream, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* -EMSGSIZE or -ENOMEM, and nothing is appended. */
int message_append(struct kring_mux *mux, struct message *message, const void *bytes, size_t len);
void message_clear(struct kring_mux *mux, struct message *message);

/* resume.c */

/* Those that belong to @parent, and have waited until it goes on, or is over. */
void stream_go_on_children(const struct kring_stream *parent);

/* stream_in.c */

/* A frame for it has arrived. */
void stream_receive(struct kring_stream *stream, const struct kring_stream_header *header,
		    const uint8_t *payload, size_t len);

/* Whether that the peer has closed is to be told. */
bool stream_may_tell(const struct kring_stream *stream);

/* Tells the owner that the peer has closed, once it has consumed all. */
void stream_tell_closed(struct kring_stream *stream);

/* stream_out.c */

void stream_receive_ack(struct kring_stream *stream, unsigned int channel, uint64_t offset,
			const uint8_t *payload, size_t len);

/* Its next frame, or 0; @more: it has another one. May end it. */
size_t stream_pull(struct kring_stream *stream, uint8_t *buf, bool *more);

#endif /* KRING_MUX_INTERNAL_H */
