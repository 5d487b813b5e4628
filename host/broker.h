/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The broker: it owns the host's end of a region, and serves many clients on a socket.
 *
 *	clients --- broker_client.c --- switch.c --- broker_ring.c --- region
 *	                 |                               |
 *	      broker_status.c: its own services     local.c: for the guest's programs
 *
 * What becomes of streams when the broker, the guest's agent or the region is replaced by another
 * one is in broker_resume.c.
 *
 * Frames of all clients and of the local multiplexer take turns on their way to the ring, one
 * frame each. A client whose frame has to wait for the ring is not read meanwhile, so there is
 * one frame of each at most; what the guest sends waits in the client's outbox, as long as its
 * socket is full, and stalls nobody else.
 */
#ifndef KRING_BROKER_H
#define KRING_BROKER_H

#include <stdbool.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include <message.h>

#include "link.h"
#include "listener.h"
#include "local.h"
#include "switch.h"
#include "target.h"
#include "tool.h"

struct broker;
struct broker_client;

/**
 * struct broker_args - the command line
 * @region: --region
 * @doorbell: --doorbell or NULL
 * @socket: --socket
 * @services: --service, all
 * @vsock_uds: --vsock-uds or NULL
 * @streams_max: --streams-max
 * @clients_max: --clients-max
 * @memory_max: --memory-max
 * @resume_timeout: --resume-timeout, in milliseconds
 * @verbose: --verbose
 */
struct broker_args {
	const char *region;
	const char *doorbell;
	const char *socket;
	struct local_services services;
	const char *vsock_uds;
	uint64_t streams_max;
	uint64_t clients_max;
	uint64_t memory_max;
	uint64_t resume_timeout;
	bool verbose;
};

/**
 * struct turn - who has a frame for the ring
 * @link: in the broker's list
 * @queued: it is in there
 * @client: whose; NULL: the local multiplexer's
 */
struct turn {
	TAILQ_ENTRY(turn) link;
	bool queued;
	struct broker_client *client;
};

TAILQ_HEAD(turns, turn);
TAILQ_HEAD(broker_clients, broker_client);
LIST_HEAD(subscribers, subscriber);

/**
 * struct broker - all there is
 * @args: command line
 * @loop: event loop
 * @ring: the region; NULL: it could not be used, and is tried again
 * @ring_retry: when
 * @ring_pause: milliseconds until then
 * @sb: whose streams are whose
 * @local: the broker's own streams with the guest
 * @listener: --socket
 * @soon: runs broker_on_soon()
 * @turns: who waits for the ring
 * @local_turn: of the local multiplexer
 * @local_first: it has RESUME to say, which no frame of a client may come before
 * @guest_told: the guest has said which streams it has
 * @guest_named: how many it has named
 * @ready: so it has, and it has dealt with RESTORED: clients can go on
 * @resume_timer: until clients have to have come back
 * @out: frame of the broker's own that the ring has no room for
 * @out_len: its bytes
 * @in: frame that was received
 * @in_len: its bytes, where the local multiplexer has yet to take it
 * @clients: connected ones
 * @client_count: how many
 * @client_serial: number of the last one
 * @subscribers: of broker.events
 * @memory: bytes in all outboxes
 * @frame_max: longest frame that the ring takes
 * @stopping: SIGTERM or SIGINT, since it has come
 * @guest_frames: frames received
 * @piece: frame on its way
 * @own: frame of a client for the broker itself
 * @refused_clients: as there were too many
 * @lost_clients: disconnected by the broker
 * @lines: written to stderr in the second of @lines_second
 * @lines_second: CLOCK_MONOTONIC
 */
struct broker {
	const struct broker_args *args;
	sd_event *loop;
	struct link *ring;
	sd_event_source *ring_retry;
	uint64_t ring_pause;
	struct switchboard *sb;
	struct local *local;
	struct listener *listener;
	sd_event_source *soon;
	struct turns turns;
	struct turn local_turn;
	bool local_first;
	bool guest_told;
	uint64_t guest_named;
	bool ready;
	sd_event_source *resume_timer;
	size_t out_len;
	size_t in_len;
	struct broker_clients clients;
	unsigned int client_count;
	unsigned int client_serial;
	struct subscribers subscribers;
	size_t memory;
	size_t frame_max;
	int stopping;
	uint64_t guest_frames;
	uint64_t refused_clients;
	uint64_t lost_clients;
	unsigned int lines;
	uint64_t lines_second;
	uint8_t out[KRING_STREAM_FRAME_MAX];
	uint8_t in[KRING_STREAM_FRAME_MAX];
	uint8_t piece[KRING_STREAM_FRAME_MAX];
	uint8_t own[KRING_STREAM_FRAME_MAX];
};

/* broker.c */

/* Runs until it is told to end; an exit status. */
int broker_run(const struct broker_args *args, struct kring_error *err);

/* Look after clients' multiplexers, and after those that are gone, when nobody looks at them. */
void broker_soon(struct broker *broker);

/* broker_ring.c */

/* Attach to the region; and, once there is a local multiplexer, begin. */
int broker_ring_open(struct broker *broker, struct kring_error *err);
int broker_ring_start(struct broker *broker, struct kring_error *err);
void broker_ring_close(struct broker *broker);

/* Have broker_ring_turn() called for it, when the ring has room. */
void broker_ring_wait(struct broker *broker, struct turn *turn);
void broker_ring_forget(struct broker *broker, struct turn *turn);

/* Whether a frame can be sent at once without jumping the queue. */
bool broker_ring_idle(const struct broker *broker);

/* broker_resume.c */

/* What is there of it begins, and ends. */
int broker_resume_init(struct broker *broker);
void broker_resume_free(struct broker *broker);

/**
 * enum guest_came - what a Hello of the guest's agent means
 * @GUEST_FIRST: it is the first one
 * @GUEST_AGAIN: the same process, over another connection
 * @GUEST_REPLACED: another process
 */
enum guest_came {
	GUEST_FIRST,
	GUEST_AGAIN,
	GUEST_REPLACED,
};

void broker_guest_hello(struct broker *broker, enum guest_came came);

/* The guest says which streams it has. */
void broker_guest_resume(struct broker *broker, const void *message, size_t len);

/*
 * The connection to the guest is gone, with what was under way: as @text says. Streams go on
 * where both ends can resume.
 */
void broker_guest_lost(struct broker *broker, const char *text);

/* Something has changed: clients can go on, if the guest is ready. */
void broker_check_ready(struct broker *broker);

/* A client says which streams it has. */
void broker_client_resume(struct broker_client *client, const void *message, size_t len);

/* Whether a client's frame has to wait until the broker is ready. */
bool broker_must_wait(struct broker_client *client, const void *frame, size_t len);

/* broker_status.c */

/*
 * Tell of an event: on stderr, and to those who have opened broker.events. @kind is a word.
 * Those of @detail are on stderr with --verbose only.
 */
void broker_event(struct broker *broker, bool detail, const char *kind, const char *fmt, ...)
	TOOL_PRINTF(4, 5);

/* A client has opened a stream to a service broker.* */
void broker_status_open(struct broker *broker, struct kring_stream *stream, const char *service);

/* broker_stat.c: the service broker.stat */
void broker_stat_open(struct broker *broker, struct kring_stream *stream);

/* For switch_ops.event. */
void broker_stream_event(void *owner, const struct switch_stream *stream,
			 enum switch_event event, const char *text);

#endif /* KRING_BROKER_H */
