/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: the stream multiplexer, for both ends.
 *
 * It does no input and output of its own, so it goes with any event loop: the owner gives
 * it each frame that has arrived (kring_mux_receive()), and takes from it the frames that
 * are to be sent (kring_mux_pull()) whenever the transport has room. What the frames are is
 * in <kring/stream.h>.
 *
 *	transport has a frame	-> kring_mux_receive()	-> callbacks
 *	stream_*()		-> ops.output()		-> kring_mux_pull() until it returns 0
 *
 * Callbacks come out of kring_mux_receive(), kring_mux_pull(), kring_mux_reset_all() and
 * kring_mux_free() alone, except @output, which may come out of any function. They may call
 * any function of streams, of their own and of others. A struct kring_stream * is good until
 * kring_stream_close() or kring_stream_reset(), or until @reset was called.
 *
 * The peer is hostile: each frame is checked, what does not fit resets that stream alone,
 * and memory stays within args.memory_max whatever it sends.
 *
 * Not for two threads at once.
 */
#ifndef KRING_MUX_H
#define KRING_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <kring/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kring_mux;
struct kring_stream;

/**
 * struct kring_stream_ops - what a stream tells its owner; each may be NULL
 * @accepted: the peer has accepted; @reply is its message's bytes
 * @readable: kring_stream_peek() has more on @channel, or it is at its end
 * @writable: there is room on @channel, after there was too little
 * @control: a message
 * @closed: the peer has closed, and all of its bytes have been consumed; @result is its
 *	message's bytes. The stream is over after kring_stream_close()
 * @reset: the stream is over, whoever wanted it; @error is an encoded Error
 *
 * Bytes that are passed are good during the call only.
 */
struct kring_stream_ops {
	void (*accepted)(struct kring_stream *stream, const void *reply, size_t len);
	void (*readable)(struct kring_stream *stream, unsigned int channel);
	void (*writable)(struct kring_stream *stream, unsigned int channel);
	void (*control)(struct kring_stream *stream, const void *message, size_t len);
	void (*closed)(struct kring_stream *stream, const void *result, size_t len);
	void (*reset)(struct kring_stream *stream, const void *error, size_t len);
};

/**
 * struct kring_mux_ops - what the multiplexer tells its owner
 * @output: there is something to pull, after there was nothing. May be called from within
 *	any function here: pull later, or now, but not from within it
 * @opened: the peer has opened a stream, on behalf of @parent (0: none); @request is its
 *	message's bytes. To be answered by kring_stream_accept() or kring_stream_reset(), now
 *	or later
 * @hello: the peer's Hello
 * @pong: an answer to kring_mux_ping()
 * @restored: the peer's Restored
 * @resume: the peer's Resume
 * @strange: the peer has sent what makes no sense; @text is for the log. The frame has been
 *	dropped, or its stream reset
 */
struct kring_mux_ops {
	void (*output)(struct kring_mux *mux);
	void (*opened)(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
		       const void *request, size_t len);
	void (*hello)(struct kring_mux *mux, const void *message, size_t len);
	void (*pong)(struct kring_mux *mux, uint64_t cookie);
	void (*restored)(struct kring_mux *mux, uint64_t generation, const void *message,
			 size_t len);
	void (*resume)(struct kring_mux *mux, const void *message, size_t len);
	void (*strange)(struct kring_mux *mux, const char *text);
};

/**
 * struct kring_position - how far one end has received a channel
 * @received: bytes that have arrived
 * @limit: position up to which the peer may send
 * @ended: its end has arrived
 */
struct kring_position {
	uint64_t received;
	uint64_t limit;
	bool ended;
};

/**
 * struct kring_resume - what one end has of a stream: all that the other must know to go on
 * @number: of the stream
 * @parent: the stream that it belongs to, 0: none
 * @token: as in its Open; all 0: none, it cannot be resumed
 * @absent: it is not there
 * @accepted: it is open here, not only on its way
 * @closed: the other end's CLOSE has arrived
 * @channels: of each, CONTROL's as the last
 */
struct kring_resume {
	uint32_t number;
	uint32_t parent;
	uint8_t token[KRING_TOKEN_LEN];
	bool absent;
	bool accepted;
	bool closed;
	struct kring_position channels[KRING_CHANNELS + 1];
};

/** kring_resume_has_token() - whether it is of a stream that can be resumed */
bool kring_resume_has_token(const struct kring_resume *resume);

enum kring_role {
	KRING_ROLE_HOST,
	KRING_ROLE_GUEST,
};

/**
 * struct kring_mux_args - what a multiplexer is to be like
 * @role: whose numbers its streams get
 * @frame_max: the longest frame to send, KRING_STREAM_FRAME_MIN at least;
 *	KRING_STREAM_FRAME_MAX is the most that is used
 * @streams_max: streams that the peer may have open; 0: 1024
 * @window: bytes of credit to give on each channel, where memory allows; 0: 256 KiB. It is
 *	also how much is kept of what was sent and not acknowledged
 * @memory_max: bytes that all buffers together may take; 0: 128 MiB. A peer whose streams
 *	could fill half of it, with the first windows of the channels that were accepted, may
 *	open no more
 * @ops: callbacks
 * @owner: for kring_mux_owner()
 */
struct kring_mux_args {
	enum kring_role role;
	uint32_t frame_max;
	uint32_t streams_max;
	uint32_t window;
	size_t memory_max;
	const struct kring_mux_ops *ops;
	void *owner;
};

/**
 * struct kring_mux_stats - counters, and two gauges at the end
 * @frames_sent: frames pulled
 * @frames_received: frames taken
 * @bytes_sent: of DATA
 * @bytes_received: of DATA, without what had arrived before
 * @streams_opened: by this side
 * @streams_accepted: opened by the peer, and accepted
 * @streams_refused: opened by the peer, and not accepted
 * @resets_sent: streams that this side has reset
 * @resets_received: streams that the peer has reset
 * @strange: frames that made no sense
 * @streams: alive now
 * @memory: bytes in buffers now
 */
struct kring_mux_stats {
	uint64_t frames_sent;
	uint64_t frames_received;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t streams_opened;
	uint64_t streams_accepted;
	uint64_t streams_refused;
	uint64_t resets_sent;
	uint64_t resets_received;
	uint64_t strange;
	uint64_t streams;
	uint64_t memory;
};

/** kring_mux_new() - a multiplexer; NULL: no memory */
struct kring_mux *kring_mux_new(const struct kring_mux_args *args);

/** kring_mux_free() - reset all streams, telling their owners, and free it; NULL is allowed */
void kring_mux_free(struct kring_mux *mux);

void *kring_mux_owner(const struct kring_mux *mux);
void kring_mux_stats(const struct kring_mux *mux, struct kring_mux_stats *stats);

/**
 * kring_mux_set_peer() - what the peer's Hello has said
 * @mux: multiplexer
 * @frame_max: the longest frame that it takes, 0: not said
 */
void kring_mux_set_peer(struct kring_mux *mux, uint32_t frame_max);

/**
 * kring_mux_receive() - a frame has arrived
 * @mux: multiplexer
 * @frame: private memory, good during the call
 * @len: bytes
 *
 * Return: 0, or -EAGAIN: answers that must not be lost are waiting to be pulled; do so, and
 * give the frame again. Else a peer that sends but does not receive would fill the memory.
 */
int kring_mux_receive(struct kring_mux *mux, const void *frame, size_t len);

/**
 * kring_mux_pull() - the next frame to send
 * @mux: multiplexer
 * @buf: where to
 * @size: bytes there, the args' frame_max at least
 *
 * Streams take turns, a frame each. Return: bytes of the frame, 0: there is none.
 */
size_t kring_mux_pull(struct kring_mux *mux, void *buf, size_t size);

/** kring_mux_pending() - whether kring_mux_pull() has a frame */
bool kring_mux_pending(const struct kring_mux *mux);

/** kring_mux_set_frame_max() - the transport has changed: as kring_mux_args.frame_max */
void kring_mux_set_frame_max(struct kring_mux *mux, uint32_t frame_max);

/**
 * kring_mux_hold() - pull nothing of streams, or go on
 *
 * What is of the connection itself is still pulled: Hello, RESUME, RESTORED, PING, and RESETs.
 */
void kring_mux_hold(struct kring_mux *mux, bool hold);

/**
 * kring_mux_set_deaf() - drop all that arrives but HELLO, or no longer do
 *
 * What lies in a ring that was just attached to may be for somebody who is gone.
 */
void kring_mux_set_deaf(struct kring_mux *mux, bool deaf);

enum kring_role kring_mux_role(const struct kring_mux *mux);

/** kring_mux_hello() - say Hello; @message as encoded. 0 or -ENOMEM */
int kring_mux_hello(struct kring_mux *mux, const void *message, size_t len);

/** kring_mux_ping() - ask the peer whether it is there; @pong comes with @cookie */
void kring_mux_ping(struct kring_mux *mux, uint64_t cookie);

/**
 * kring_mux_reset_all() - the peer has gone: all streams are over
 * @mux: multiplexer
 * @error: an encoded Error for the streams' owners
 * @len: its bytes
 *
 * Nothing is sent, and what waited to be pulled is dropped, except a Hello.
 */
void kring_mux_reset_all(struct kring_mux *mux, const void *error, size_t len);

/**
 * kring_mux_park() - the connection is gone, and there is going to be another one
 * @mux: multiplexer
 *
 * Streams stay, and may be written to and read from, but nothing of them is sent or taken
 * until kring_stream_resume(). What waited to be pulled is dropped, except a Hello.
 */
void kring_mux_park(struct kring_mux *mux);

/**
 * kring_mux_resume() - say RESUME
 * @mux: multiplexer
 * @streams: what is said of each; NULL: all streams of @mux as kring_stream_describe() has them
 * @count: how many; not with NULL
 * @complete: there are no others
 *
 * Return: 0 or -ENOMEM.
 */
int kring_mux_resume(struct kring_mux *mux, const struct kring_resume *streams, size_t count,
		     bool complete);

/**
 * kring_mux_resumed() - the peer has said RESUME: for kring_mux_ops.resume
 * @mux: multiplexer, which was parked
 * @message: the encoded Resume
 * @len: its bytes
 * @strange: called for each stream that @mux does not have; may be NULL
 * @owner: for @strange
 *
 * Goes on with all streams that are named, by number and token; with the last message, ends
 * those that are still parked, as the peer does not have them.
 *
 * Return: 1: that was the last message, 0: more are to come, -EBADMSG: it makes no sense.
 */
int kring_mux_resumed(struct kring_mux *mux, const void *message, size_t len,
		      void (*strange)(void *owner, const struct kring_resume *stream),
		      void *owner);

/**
 * kring_mux_doubt() - the peer is not the process any more that the parked streams were opened to
 *
 * Whether it has begun with what was asked for and not accepted yet cannot be known: that is not
 * asked for again.
 */
void kring_mux_doubt(struct kring_mux *mux);

/** kring_mux_restored() - say RESTORED; @message as encoded. 0 or -ENOMEM */
int kring_mux_restored(struct kring_mux *mux, uint64_t generation, const void *message,
		       size_t len);

/** kring_mux_next() - the stream behind @stream, or the first one for NULL; NULL: no more */
struct kring_stream *kring_mux_next(struct kring_mux *mux, const struct kring_stream *stream);

/** kring_mux_find() - a stream by its number, or NULL */
struct kring_stream *kring_mux_find(struct kring_mux *mux, uint32_t number);

/** kring_mux_skip_number() - @number is in use somewhere: give only higher ones */
void kring_mux_skip_number(struct kring_mux *mux, uint32_t number);

/** kring_mux_take_number() - a number for a stream of this side that somebody else handles */
uint32_t kring_mux_take_number(struct kring_mux *mux);

/**
 * kring_mux_open() - open a stream
 * @mux: multiplexer
 * @parent: number of the stream that it belongs to, 0: none
 * @request: an encoded Open
 * @len: its bytes, KRING_MESSAGE_MAX at most
 * @channels: bit mask of the channels that the peer may send DATA on
 * @ops: callbacks
 * @owner: for kring_stream_owner()
 *
 * What is written before it is accepted goes out behind the OPEN.
 *
 * Return: the stream, or NULL: errno is ENOMEM or EMSGSIZE.
 */
struct kring_stream *kring_mux_open(struct kring_mux *mux, uint32_t parent,
				    const void *request, size_t len, unsigned int channels,
				    const struct kring_stream_ops *ops, void *owner);

/**
 * kring_stream_accept() - accept a stream that the peer has opened
 * @stream: from @opened
 * @reply: an encoded Accept, may be NULL
 * @len: its bytes
 * @channels: bit mask of the channels that the peer may send DATA on
 *
 * Return: 0, or -ENOMEM, -EMSGSIZE.
 */
int kring_stream_accept(struct kring_stream *stream, const void *reply, size_t len,
			unsigned int channels);

/** kring_stream_set_ops() - whom to call from now on; before or after it is accepted */
void kring_stream_set_ops(struct kring_stream *stream, const struct kring_stream_ops *ops,
			  void *owner);

/**
 * kring_stream_on_done() - be told when a stream that was closed is over
 * @stream: stream, before kring_stream_close()
 * @done: called once behind kring_stream_close(), from where callbacks come; @closed: the peer
 *	has closed it too, so that it has all that it wants; else it was reset or lost
 * @owner: its
 */
void kring_stream_on_done(struct kring_stream *stream, void (*done)(void *owner, bool closed),
			  void *owner);

/** kring_stream_set_token() - what it is resumed by, KRING_TOKEN_LEN bytes; NULL: nothing */
void kring_stream_set_token(struct kring_stream *stream, const void *token);

/*
 * What becomes of it in a forked child, a Kring__ForkPolicy; not looked at here. 0 unless set.
 */
void kring_stream_set_on_fork(struct kring_stream *stream, int policy);
int kring_stream_on_fork(const struct kring_stream *stream);

/** kring_stream_hold() - pull nothing of it for a while, or go on */
void kring_stream_hold(struct kring_stream *stream, bool hold);

void *kring_stream_owner(const struct kring_stream *stream);
struct kring_mux *kring_stream_mux(const struct kring_stream *stream);
uint32_t kring_stream_number(const struct kring_stream *stream);

/**
 * kring_stream_room() - bytes that kring_stream_write() would take on @channel now
 *
 * Limited by the window of what is kept until it is acknowledged, and by memory_max. When it
 * has returned 0, @writable says that there is room again.
 */
size_t kring_stream_room(struct kring_stream *stream, unsigned int channel);

/**
 * kring_stream_write() - send bytes
 *
 * Return: how many were taken. When less than @len, @writable says that there is room again.
 */
size_t kring_stream_write(struct kring_stream *stream, unsigned int channel, const void *buf,
			  size_t len);

/**
 * kring_stream_reserve() - room for bytes to be sent, to read(2) into
 * @stream: stream
 * @channel: channel
 * @want: bytes wanted
 * @at: where they may be written; it stays good until kring_stream_commit(), or until the
 *	stream is over. That any frame may bring about: not for reads that go on meanwhile
 *
 * Return: bytes there are at @at, @want at most, 0: no room.
 */
size_t kring_stream_reserve(struct kring_stream *stream, unsigned int channel, size_t want,
			    void **at);

/** kring_stream_commit() - send @len of the reserved bytes, 0: none after all */
void kring_stream_commit(struct kring_stream *stream, unsigned int channel, size_t len);

/** kring_stream_eof() - no more bytes on @channel */
void kring_stream_eof(struct kring_stream *stream, unsigned int channel);

/** kring_stream_describe() - fill in what this end has of @stream, for the other one */
void kring_stream_describe(const struct kring_stream *stream, struct kring_resume *resume);

/**
 * kring_stream_resume() - go on with a stream that kring_mux_park() has parked
 * @stream: stream
 * @peer: what the other end has of it; NULL: it does not have it
 *
 * What the other end lacks is sent again.
 *
 * A stream that the other end does not have is opened again, where it was not accepted yet,
 * and is over, where nothing but the other end's CLOSE was missing.
 *
 * Return: 0; -ESTALE: what the other end lacks is not there any more, or it has what was never
 * sent: one of them is from an earlier moment; -ENOENT: it does not have the stream;
 * -ECONNRESET, -EOWNERDEAD: the same, after kring_mux_doubt(). Reset it then.
 */
int kring_stream_resume(struct kring_stream *stream, const struct kring_resume *peer);

/** kring_stream_unacked() - bytes written to @channel that the peer has not consumed yet */
size_t kring_stream_unacked(const struct kring_stream *stream, unsigned int channel);

/**
 * kring_stream_control() - send a message
 * @stream: stream
 * @message: an encoded message of the service
 * @len: its bytes, KRING_CONTROL_MAX at most
 *
 * Return: 0, -EAGAIN: a window of messages waits already; @writable says, for channel
 * KRING_CHANNEL_CONTROL, when there is room. -EMSGSIZE, -ENOMEM.
 */
int kring_stream_control(struct kring_stream *stream, const void *message, size_t len);

/**
 * kring_stream_peek() - bytes that have arrived on @channel
 * @stream: stream
 * @channel: channel
 * @at: where they are, until kring_stream_consume() or until the stream is over. More may
 *	arrive behind them, they themselves do not move
 *
 * Return: how many lie there in one piece.
 */
size_t kring_stream_peek(struct kring_stream *stream, unsigned int channel, const void **at);

/**
 * kring_stream_consume() - @len of the bytes that kring_stream_peek() has shown are done with
 *
 * This is what the peer is told, and what it need not send again.
 */
void kring_stream_consume(struct kring_stream *stream, unsigned int channel, size_t len);

/** kring_stream_ended() - whether the peer has ended @channel, and all bytes were consumed */
bool kring_stream_ended(const struct kring_stream *stream, unsigned int channel);

/**
 * kring_stream_close() - nothing more to send, and no more interest
 * @stream: stream
 * @result: an encoded Close, may be NULL
 * @len: its bytes
 *
 * What was written still goes out, and is kept until the peer has closed too. What arrives
 * from now on is dropped. No callback comes any more, and @stream must not be used.
 *
 * Return: 0; -ENOMEM, -EMSGSIZE: the stream was reset.
 */
int kring_stream_close(struct kring_stream *stream, const void *result, size_t len);

/**
 * kring_stream_reset() - end the stream at once
 * @stream: must not be used afterwards, and no callback comes
 * @error: an encoded Error, may be NULL
 * @len: its bytes, cut off at what fits into a frame
 */
void kring_stream_reset(struct kring_stream *stream, const void *error, size_t len);

/**
 * kring_stream_fail() - end the stream at once, and tell both ends
 * @stream: must not be used afterwards
 * @error: an encoded Error, may be NULL
 * @len: its bytes, cut off at what fits into a frame
 *
 * For who is not its owner: that one is told by @reset.
 */
void kring_stream_fail(struct kring_stream *stream, const void *error, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* KRING_MUX_H */
