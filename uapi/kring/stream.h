/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * Streams: many conversations over one pair of rings.
 *
 * Each frame's payload begins with a struct kring_stream_header; a type's own payload
 * follows. The same frames travel between the host's broker and its clients, one frame to
 * a message of a SOCK_SEQPACKET socket. All numbers are little-endian.
 *
 * Life of a stream. Either side opens one with OPEN, which names a service and carries its
 * request; the other side answers ACCEPT, or refuses with RESET. Streams that the host has
 * opened have odd numbers, those of the guest even ones; 0 is the connection itself. Each
 * side says CLOSE when it has nothing more to send, and the stream is over when both have.
 * RESET ends it at once, for both. What arrives for a stream that is not there is answered
 * with RESET, unless it is itself an ACK, a CLOSE or a RESET.
 *
 * Channels. A stream has in each direction channels 0 to 3 for bytes, DATA then EOF, and
 * the channel of CONTROL messages. Each is a sequence of its own: its bytes have positions
 * from 0 on, a frame says the position of its first byte, and nothing is skipped. A frame,
 * or the part of one, that lies before what has arrived already is dropped: it was sent
 * again after a restore. One that leaves a gap resets the stream.
 *
 * Credit. A sender may send up to KRING_STREAM_WINDOW bytes on each channel, and from then
 * on up to the position that ACKs allow: offset + window of the last. It keeps what has not
 * been acknowledged. Whoever sends beyond is reset. An allowance once given is not taken
 * back.
 *
 * Resumption. A connection ends when either side attaches anew: a host or a guest that was
 * started again, a guest that was restored or forked. What is under way then is lost, but
 * streams live on where both Hellos say so. Each side says RESUME, what it has of each of its
 * streams; the other sends again what is missing, from OPEN to CLOSE, and nothing else.
 *
 * Messages are those of agent.proto. HELLO and RESET carry one. OPEN, ACCEPT and CLOSE do, and
 * where it is larger than a frame it goes on in the next frames of that type and stream; all
 * but the last have KRING_STREAM_MORE. It has KRING_MESSAGE_MAX bytes at most. The channel of
 * CONTROL is one sequence of messages, each behind its length, a __le32, which is at most
 * KRING_CONTROL_MAX; its frames begin and end anywhere in it.
 */
#ifndef _KRING_STREAM_H
#define _KRING_STREAM_H

#include <linux/types.h>

#define KRING_STREAM_VERSION	1

/* Bytes of a channel that may be sent before any ACK. */
#define KRING_STREAM_WINDOW	65536

/* No frame of streams is longer, whatever the ring would take, header included. */
#define KRING_STREAM_FRAME_MAX	65536

/* No side offers less: a ring of 4096 bytes takes it. */
#define KRING_STREAM_FRAME_MIN	1024

/* Bytes of one message, over all its frames. */
#define KRING_MESSAGE_MAX	1048576

/*
 * Bytes of one message of CONTROL. Who receives it can take it only when it is complete, and
 * keeps more credit open than this.
 */
#define KRING_CONTROL_MAX	32768

/* kring_stream_header.channel: 0 to 3 carry DATA. */
#define KRING_CHANNELS		4
#define KRING_CHANNEL_CONTROL	4

/**
 * enum kring_stream_type - kring_stream_header.type
 * @KRING_STREAM_HELLO: stream 0. First thing that each side says, whenever it has attached
 *	anew; message Hello
 * @KRING_STREAM_OPEN: message Open. @offset: the stream that this one belongs to, 0: none.
 *	A connection that a guest's listener has accepted names the stream that listens.
 * @KRING_STREAM_ACCEPT: message Accept
 * @KRING_STREAM_DATA: bytes. @offset: position of the first
 * @KRING_STREAM_ACK: @offset: how many bytes of @channel the application has taken; the
 *	payload is a __le32, the window: bytes that may follow @offset
 * @KRING_STREAM_EOF: no more DATA on @channel. @offset: its length
 * @KRING_STREAM_CLOSE: nothing more of any kind, all channels have ended; message Close
 * @KRING_STREAM_RESET: the stream is over, and what is on its way is lost; message Error
 * @KRING_STREAM_CONTROL: bytes of the service's messages. @channel KRING_CHANNEL_CONTROL;
 *	@offset: position of the first
 * @KRING_STREAM_PING: are you there? Payload up to 64 bytes
 * @KRING_STREAM_PONG: answer: @stream, @offset and payload as in the PING
 * @KRING_STREAM_RESTORED: stream 0. @offset: the new generation; message Restored
 * @KRING_STREAM_RESUME: stream 0; message Resume
 */
enum kring_stream_type {
	KRING_STREAM_HELLO	= 1,
	KRING_STREAM_OPEN	= 2,
	KRING_STREAM_ACCEPT	= 3,
	KRING_STREAM_DATA	= 4,
	KRING_STREAM_ACK	= 5,
	KRING_STREAM_EOF	= 6,
	KRING_STREAM_CLOSE	= 7,
	KRING_STREAM_RESET	= 8,
	KRING_STREAM_CONTROL	= 9,
	KRING_STREAM_PING	= 10,
	KRING_STREAM_PONG	= 11,
	KRING_STREAM_RESTORED	= 12,
	KRING_STREAM_RESUME	= 13,
};

/* kring_stream_header.flags */
#define KRING_STREAM_MORE	0x1	/* the message goes on in the next frame */

/* The longest payload of PING. */
#define KRING_PING_MAX		64

/**
 * struct kring_stream_header - what each frame's payload begins with
 * @type: enum kring_stream_type
 * @channel: of DATA, ACK, EOF and CONTROL, else 0
 * @flags: KRING_STREAM_*; others are 0
 * @stream: which, 0: the connection
 * @offset: position in the channel; some types use it otherwise, else 0
 */
struct kring_stream_header {
	__u8 type;
	__u8 channel;
	__le16 flags;
	__le32 stream;
	__le64 offset;
};

_Static_assert(sizeof(struct kring_stream_header) == 16, "kring_stream_header");

/* Bytes of Open.token. */
#define KRING_TOKEN_LEN		16

#endif /* _KRING_STREAM_H */
