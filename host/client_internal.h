/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of a client share: client.c has what sub-commands see, client_mux.c what the
 * multiplexer tells, client_link.c carries frames, client_reconnect.c has what happens when the
 * connection is lost.
 */
#ifndef KRING_CLIENT_INTERNAL_H
#define KRING_CLIENT_INTERNAL_H

#include "client.h"
#include "link.h"

/**
 * struct client - a connection
 * @args: where to
 * @loop: event loop
 * @link: where frames come from and go to, NULL: it is lost
 * @mux: the streams
 * @hello: what both sides have said
 * @met: the agent has said Hello, some time
 * @timer: --connect-timeout, until then
 * @connection: as client_connection() has it
 * @retry: next attempt to connect; NULL: none was needed yet
 * @pause: microseconds before it
 * @deadline: --reconnect-timeout
 * @offline: as client_offline()
 * @waits: the connection was lost, and streams do not go on yet
 * @lost_at: when it was, microseconds
 * @lost_code: negative errno: why it was
 * @why: the same in words
 * @attempt: how the last attempt to connect has failed; empty: it has not
 * @pong: as of client_on_pong()
 * @pong_owner: its
 * @opened: who is told of streams that the guest opens, or NULL
 * @opened_owner: its
 * @stopped: client_stop() was called
 * @code: 0, or why the connection is lost for good
 * @err: the same in words
 * @out: frame that was pulled, and not sent yet
 * @out_len: its bytes, 0: there is none
 * @in: frame that was received, and not given to @mux yet
 * @in_len: its bytes, 0: there is none
 */
struct client {
	struct client_args args;
	sd_event *loop;
	struct link *link;
	struct kring_mux *mux;
	struct kring_hello hello;
	bool met;
	sd_event_source *timer;
	unsigned int connection;
	sd_event_source *retry;
	uint64_t pause;
	sd_event_source *deadline;
	sd_event_source *offline;
	bool waits;
	uint64_t lost_at;
	int lost_code;
	struct kring_error why;
	struct kring_error attempt;
	void (*pong)(void *owner, uint64_t cookie);
	void *pong_owner;
	client_opened_fn opened;
	void *opened_owner;
	bool stopped;
	int code;
	struct kring_error err;
	size_t out_len;
	size_t in_len;
	uint8_t out[KRING_STREAM_FRAME_MAX];
	uint8_t in[KRING_STREAM_FRAME_MAX];
};

/* client.c: all streams are reset, and client_run() ends. */
void client_lose(struct client *client, int code, const char *fmt, ...) TOOL_PRINTF(3, 4);

/* client_mux.c */
extern const struct kring_mux_ops client_mux_ops;

/*
 * client_link.c
 */

/* Connect, and say Hello. @wait: milliseconds that a broker may take to accept, 0: none. */
int client_attach(struct client *client, uint64_t wait, struct kring_error *err);

/*
 * client_reconnect.c
 */

/* The link is broken: it is closed, and there is going to be another one; or that was all. */
void client_lost(struct client *client, int code);

/* There is something to be pulled, and nobody to send it to. */
void client_offline(struct client *client);

/* There is a new connection, and what each end has is about to be said. */
void client_meets(struct client *client);

/* All has been said: streams go on. */
void client_resumed(struct client *client);

void client_reconnect_close(struct client *client);

#endif /* KRING_CLIENT_INTERNAL_H */
