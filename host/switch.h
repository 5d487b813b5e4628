/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The broker's switch: which client each stream of the ring belongs to.
 *
 * It relays frames between the ports of clients and the ring, and rewrites nothing in them
 * but the stream's number, and in OPEN that of the parent. Streams, credit and acknowledgment
 * are end to end between a client and the guest's agent, so nothing is kept here of what
 * passes, and the broker's memory is bounded by the credit that clients have given: the
 * guest's DATA is held to it here, as nothing it sends may fill a queue of the host's.
 *
 * It does no input and output: the owner gives it each frame, in private memory, and is told
 * where it is to go. Nothing is kept back, so whoever gives a frame of a client must have
 * found room for it in the ring before.
 *
 * Streams outlive whoever carries them: the guest says which ones it has, and those wait here
 * until a client comes that knows the token which the stream was opened with: switch_resume.h.
 */
#ifndef KRING_SWITCH_H
#define KRING_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <kring/stream.h>

struct switchboard;
struct switch_port;
struct switch_ends;

/* Bytes of a service's name that are kept, with the NUL. */
#define SWITCH_SERVICE	32

/* DATA on four channels, and CONTROL. */
#define SWITCH_CHANNELS	(KRING_CHANNELS + 1)

/**
 * enum switch_verdict - where a frame is to go
 * @SWITCH_RELAY: to the other side; it has been rewritten
 * @SWITCH_LOCAL: to the broker's own multiplexer of this connection
 * @SWITCH_DROP: nowhere
 * @SWITCH_BAD: it makes no sense, and whoever sent it is to be disconnected
 */
enum switch_verdict {
	SWITCH_RELAY,
	SWITCH_LOCAL,
	SWITCH_DROP,
	SWITCH_BAD,
};

/**
 * struct switch_channel - what the guest may send on one channel
 * @next: position that its next byte has
 * @limit: position that the client's credit ends at
 * @ended: EOF has passed
 */
struct switch_channel {
	uint64_t next;
	uint64_t limit;
	bool ended;
};

/**
 * struct switch_stream - one stream that is relayed
 * @by_ring: hash chain by @ring
 * @by_port: hash chain by @port and @number; where it waits for a client, by its token
 * @link: in the port's list, or in the list of those that wait for a client, or of those that
 *	the guest has yet to be told of
 * @port: client that it belongs to; NULL: it waits for one, or the guest is to be told that it
 *	is over
 * @ends: until they know of each other; NULL: they do, or it is over
 * @ring: number on the ring
 * @number: number on the client's connection
 * @parent: number on the ring of the stream that it belongs to
 * @from_guest: the guest has opened it
 * @opening: the last frame of OPEN has not passed
 * @refused: what is left of OPEN is swallowed
 * @host_closed: the client's CLOSE has passed
 * @guest_closed: the guest's CLOSE has passed
 * @channels: from guest to client
 * @to_guest: bytes of DATA relayed
 * @to_host: bytes of DATA relayed
 * @reset_number: errno for the guest when it is over
 * @reset_text: why
 * @service: what was opened, printable
 */
struct switch_stream {
	LIST_ENTRY(switch_stream) by_ring;
	LIST_ENTRY(switch_stream) by_port;
	TAILQ_ENTRY(switch_stream) link;
	struct switch_port *port;
	struct switch_ends *ends;
	uint32_t ring;
	uint32_t number;
	uint32_t parent;
	bool from_guest;
	bool opening;
	bool refused;
	bool host_closed;
	bool guest_closed;
	struct switch_channel channels[SWITCH_CHANNELS];
	uint64_t to_guest;
	uint64_t to_host;
	int reset_number;
	const char *reset_text;
	char service[SWITCH_SERVICE];
};

TAILQ_HEAD(switch_streams, switch_stream);

/**
 * struct switch_port - one client
 * @streams: its own
 * @count: how many
 * @refused: how many OPENs are being swallowed
 * @next_even: number of the next stream that the guest opens to it
 * @owner: for the owner's use
 *
 * Begins and ends by switch_port_init() and switch_port_fini().
 */
struct switch_port {
	struct switch_streams streams;
	unsigned int count;
	unsigned int refused;
	uint32_t next_even;
	void *owner;
};

/**
 * enum switch_event - what happens to a stream of a client
 * @SWITCH_OPENED: it has begun
 * @SWITCH_RESUMED: its client has taken it up
 * @SWITCH_PARKED: it is no client's any more, and may wait for one again
 * @SWITCH_CLOSED: it has ended
 * @SWITCH_RESET: it was broken off
 */
enum switch_event {
	SWITCH_OPENED,
	SWITCH_RESUMED,
	SWITCH_PARKED,
	SWITCH_CLOSED,
	SWITCH_RESET,
};

/**
 * struct switch_ops - what the switch asks of its owner, and tells it
 * @take_number: a free odd number of the ring
 * @reset: tell the client that @number is over, by an Error of @error (positive errno) and
 *	@text. May not call back
 * @event: a stream has begun or ended, for the log; @text says why where it was RESET. May be
 *	NULL
 */
struct switch_ops {
	uint32_t (*take_number)(void *owner);
	void (*reset)(struct switch_port *port, uint32_t number, int error, const char *text);
	void (*event)(void *owner, const struct switch_stream *stream, enum switch_event event,
		      const char *text);
};

/**
 * struct switch_args - limits
 * @streams_max: streams there may be
 * @port_streams_max: streams that one client may have
 */
struct switch_args {
	unsigned int streams_max;
	unsigned int port_streams_max;
	const struct switch_ops *ops;
	void *owner;
};

/** struct switch_stats - counters, and two gauges at the end: all streams, and who waits */
struct switch_stats {
	uint64_t opened;
	uint64_t resumed;
	uint64_t parked;
	uint64_t refused;
	uint64_t closed;
	uint64_t reset;
	uint64_t given_up;
	uint64_t violations;
	uint64_t to_guest;
	uint64_t to_host;
	uint64_t streams;
	uint64_t waiting;
};

/** switch_new() - NULL: no memory */
struct switchboard *switch_new(const struct switch_args *args);

/** switch_free() - all ports must have been ended; NULL is allowed */
void switch_free(struct switchboard *sb);

void switch_stats(const struct switchboard *sb, struct switch_stats *stats);

/** switch_set_down() - from now on nothing can be opened, as @why says; NULL: it can again */
void switch_set_down(struct switchboard *sb, const char *why);

void switch_port_init(struct switch_port *port, void *owner);

/** switch_port_fini() - the client has gone: the guest is told of each of its streams */
void switch_port_fini(struct switchboard *sb, struct switch_port *port, int error,
		      const char *text);

/**
 * switch_needs_ring() - whether a frame of a client can be dealt with only where there is a guest
 *
 * That is an OPEN of a stream of its own.
 */
bool switch_needs_ring(struct switchboard *sb, struct switch_port *port, const void *frame,
		       size_t len);

/**
 * switch_unsent() - a frame of a client that was relayed will not be sent
 *
 * Where it was the last of its stream, the guest is told that this is over all the same.
 */
void switch_unsent(struct switchboard *sb, const void *frame, size_t len, int error,
		   const char *text);

/** switch_wanted() - whether a frame of a client, relayed a while ago, is still to be sent */
bool switch_wanted(struct switchboard *sb, const void *frame, size_t len);

/**
 * switch_from_port() - a client has sent a frame
 * @sb: switch
 * @port: client
 * @frame: it; rewritten where it is to be relayed
 * @len: bytes
 * @why: set for SWITCH_BAD
 */
enum switch_verdict switch_from_port(struct switchboard *sb, struct switch_port *port,
				     void *frame, size_t len, const char **why);

/**
 * switch_from_ring() - the guest has sent a frame
 * @sb: switch
 * @frame: it; rewritten where it is to be relayed
 * @len: bytes; may get less where the first part of DATA has passed before
 * @port: the client that it is for
 * @credited: whether the client has given credit for it
 *
 * Never SWITCH_BAD: what makes no sense ends that stream alone.
 */
enum switch_verdict switch_from_ring(struct switchboard *sb, void *frame, size_t *len,
				     struct switch_port **port, bool *credited);

/** switch_end_all() - what streams there are end, and those who have them are told */
void switch_end_all(struct switchboard *sb, int error, const char *text);

/** switch_each() - call @each for all streams that have a client */
void switch_each(const struct switchboard *sb,
		 void (*each)(void *owner, const struct switch_stream *stream), void *owner);

/**
 * switch_pull() - a frame of the switch's own for the guest: a RESET
 * @sb: switch
 * @buf: where to, KRING_STREAM_FRAME_MIN bytes at least
 *
 * Return: its bytes, 0: there is none.
 */
size_t switch_pull(struct switchboard *sb, void *buf);

/** switch_pending() - whether switch_pull() has a frame */
bool switch_pending(const struct switchboard *sb);

#endif /* KRING_SWITCH_H */
