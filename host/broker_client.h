/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One client of the broker: a connection to its socket.
 */
#ifndef KRING_BROKER_CLIENT_H
#define KRING_BROKER_CLIENT_H

#include "broker.h"
#include "outbox.h"

/* PINGs that wait for the guest's answer. */
#define CLIENT_PINGS	8

/**
 * struct client_ping - a client's PING that was passed on
 * @cookie: of ours; 0: none
 * @since: when, CLOCK_MONOTONIC microseconds
 * @offset: of the client's
 * @len: bytes of @payload
 * @payload: to be sent back
 */
struct client_ping {
	uint64_t cookie;
	uint64_t since;
	uint64_t offset;
	size_t len;
	uint8_t payload[KRING_PING_MAX];
};

/**
 * struct broker_client - one client
 * @link: in the broker's list
 * @broker: whose
 * @serial: its number, for people
 * @fd: SOCK_SEQPACKET socket
 * @pid: process that has connected
 * @uid: its user
 * @io: source of @fd
 * @port: its streams on the ring
 * @outbox: what @fd does not take yet
 * @mux: everything else it says: Hello, and streams to the broker itself
 * @hello: what both sides have said
 * @held: its Hello, until the guest has said its own, or until it wants something of the broker
 * @held_len: its bytes
 * @early: frame that waits until the broker is ready; the client is not read meanwhile
 * @early_len: its bytes, 0: there is none
 * @hand: frame that the ring has no room for, in the ring's numbers
 * @hand_len: its bytes, 0: there is none
 * @hand_done: bytes of its payload that were sent
 * @turn: of @hand
 * @output: @mux has something to pull
 * @doomed: disconnected, and about to be freed
 * @resumed: it has said which streams it has
 * @named: how many it has named
 * @missing: how many of them are not there
 * @pings: that the guest is to answer
 * @ping_serial: number of the last one
 */
struct broker_client {
	TAILQ_ENTRY(broker_client) link;
	struct broker *broker;
	unsigned int serial;
	int fd;
	pid_t pid;
	uid_t uid;
	sd_event_source *io;
	struct switch_port port;
	struct outbox outbox;
	struct kring_mux *mux;
	struct kring_hello hello;
	uint8_t *held;
	size_t held_len;
	uint8_t *early;
	size_t early_len;
	uint8_t *hand;
	size_t hand_len;
	size_t hand_done;
	struct turn turn;
	bool output;
	bool doomed;
	bool resumed;
	uint64_t named;
	unsigned int missing;
	struct client_ping pings[CLIENT_PINGS];
	uint32_t ping_serial;
};

/* For listener_unix(): somebody has connected. */
void client_accept(int fd, void *broker);

/*
 * Disconnect, soon: nobody who looks at it just now finds it gone. @why is for the log; NULL:
 * it has gone by itself.
 */
void client_drop(struct broker_client *client, const char *why);
void client_free(struct broker_client *client);

/*
 * Send it a frame. A client that does not take what it is sent is dropped, and another one
 * may be, where all together have too much.
 */
void client_send(struct broker_client *client, const void *frame, size_t len, bool credited);

/* Pull what its multiplexer has. */
void client_output(struct broker_client *client);

/* The broker is ready: answer its Hello, or say it again, and take up what has waited. */
void client_guest_hello(struct broker_client *client);

/* The guest has answered a PING of its. */
void client_pong(struct broker_client *client, uint64_t cookie);

/* Its frame for the ring is sent, or dropped: read it again. */
void client_hand_empty(struct broker_client *client);

#endif /* KRING_BROKER_CLIENT_H */
