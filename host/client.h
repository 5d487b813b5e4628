/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A sub-command's connection to the guest's agent: through a broker's socket, or, where it
 * owns the region itself, without one. Everything else in a sub-command is streams of
 * client_mux(), and sources of client_loop().
 *
 * When the connection is lost, as the broker was started again or the region restored, another
 * one is made, and streams go on over it: whoever uses them notices a pause, no more.
 */
#ifndef KRING_CLIENT_H
#define KRING_CLIENT_H

#include <getopt.h>

#include <systemd/sd-event.h>

#include <message.h>
#include <mux.h>

#include "tool.h"

/**
 * struct client_args - where the guest is; begins as CLIENT_ARGS_INIT
 * @socket: the broker's; NULL: environment's KRING_SOCKET
 * @region: to own; NULL: environment's KRING_REGION. Not with a socket
 * @doorbell: of @region; NULL: environment's KRING_DOORBELL
 * @connect_timeout: milliseconds to wait for the agent's Hello
 * @reconnect_timeout: milliseconds to try to have a lost connection again, 0: do not
 * @verbose: say so when it is lost, and had again
 */
struct client_args {
	const char *socket;
	const char *region;
	const char *doorbell;
	uint64_t connect_timeout;
	uint64_t reconnect_timeout;
	bool verbose;
};

#define CLIENT_ARGS_INIT	{ .connect_timeout = 10000, .reconnect_timeout = 30000 }

/* Those of a sub-command's own long options begin below. */
enum client_option {
	CLIENT_OPTION_SOCKET = 0x100,
	CLIENT_OPTION_REGION,
	CLIENT_OPTION_DOORBELL,
	CLIENT_OPTION_CONNECT_TIMEOUT,
	CLIENT_OPTION_RECONNECT_TIMEOUT,
	CLIENT_OPTION_VERBOSE,
};

/* For getopt_long(): the options that all sub-commands with a client have, and their help. */
#define CLIENT_OPTION_LIST(...)	__VA_ARGS__
#define CLIENT_OPTIONS CLIENT_OPTION_LIST( \
	{ "socket", required_argument, NULL, CLIENT_OPTION_SOCKET }, \
	{ "region", required_argument, NULL, CLIENT_OPTION_REGION }, \
	{ "doorbell", required_argument, NULL, CLIENT_OPTION_DOORBELL }, \
	{ "connect-timeout", required_argument, NULL, CLIENT_OPTION_CONNECT_TIMEOUT }, \
	{ "reconnect-timeout", required_argument, NULL, CLIENT_OPTION_RECONNECT_TIMEOUT }, \
	{ "verbose", no_argument, NULL, CLIENT_OPTION_VERBOSE })

#define CLIENT_HELP \
	"  --socket PATH           of the broker that has the guest ($KRING_SOCKET)\n" \
	"  --region PATH           of the guest, where no broker has it ($KRING_REGION)\n" \
	"  --doorbell PATH         socket of its console port ($KRING_DOORBELL)\n" \
	"  --connect-timeout S     seconds to wait for the guest's agent (default 10)\n" \
	"  --reconnect-timeout S   seconds to try again when it was lost (default 30; 0: never)\n" \
	"  --verbose               tell when the connection is lost, and had again\n"

/* Whether @opt was one of CLIENT_OPTIONS: 1; 0: no; -EINVAL: its argument is wrong. */
int client_option(struct client_args *args, int opt, const char *arg, struct kring_error *err);

struct client;

/**
 * client_open() - connect
 * @client: the new one
 * @args: where to
 * @err: filled on failure
 *
 * Says Hello. Does not wait for the agent's: streams may be opened at once. When it has not
 * come in time, or when the connection is lost and cannot be had again, all streams are reset,
 * and the loop of client_run() ends with an error.
 *
 * Return: 0 or a negative errno.
 */
int client_open(struct client **client, const struct client_args *args, struct kring_error *err);

/**
 * client_close() - let what was sent go out, for a second at most, and disconnect
 * @client: NULL is allowed
 */
void client_close(struct client *client);

sd_event *client_loop(struct client *client);
struct kring_mux *client_mux(struct client *client);
const struct kring_hello *client_hello(const struct client *client);

/** client_connected() - whether what is sent now goes out; else it waits for a connection */
bool client_connected(const struct client *client);

/**
 * client_connection() - number of the connection
 *
 * Another one after each that was lost: what the broker itself had, as the streams of its own
 * services, is gone then, and may be asked for again. 0: there will be none any more.
 */
unsigned int client_connection(const struct client *client);

/**
 * client_greet() - wait until the agent has said Hello
 *
 * Nobody needs to, but who wants to measure from then on. Return: as client_run().
 */
int client_greet(struct client *client, struct kring_error *err);

/** client_on_pong() - whom to call with the cookies of answers to kring_mux_ping() */
void client_on_pong(struct client *client, void (*pong)(void *owner, uint64_t cookie),
		    void *owner);

/**
 * client_run() - run the loop until client_stop(), or until the connection is lost for good
 *
 * Return: 0, or a negative errno, and @err says why: -ETIMEDOUT: no Hello.
 */
int client_run(struct client *client, struct kring_error *err);
void client_stop(struct client *client);

/**
 * typedef client_opened_fn - the guest has opened a stream
 * @owner: as given to client_on_opened()
 * @stream: to be answered
 * @parent: ours that it belongs to, 0: none
 * @open: what it is
 */
typedef void (*client_opened_fn)(void *owner, struct kring_stream *stream, uint32_t parent,
				 const Kring__Open *open);

/** client_on_opened() - be told of streams that the guest opens; without, they are refused */
void client_on_opened(struct client *client, client_opened_fn opened, void *owner);

/**
 * client_call() - open a stream to a service, and wait for its result
 * @client: connection
 * @service: name
 * @request: message, may be NULL
 * @result: type of the result, NULL: it has none
 * @answer: kring_unpack()ed result, to be freed with kring_unpack_free(); may be NULL
 * @err: filled on failure
 *
 * Return: 0, or a negative errno: the agent's refusal, or as client_run().
 */
int client_call(struct client *client, const char *service, const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *result, void **answer,
		struct kring_error *err);

/**
 * client_error() - put an Error that the agent has sent into words
 * @err: filled with "STEP: TEXT", printable whatever was sent
 * @error: an encoded Error, as in kring_stream_ops.reset
 * @len: its bytes
 *
 * Return: a negative errno.
 */
int client_error(struct kring_error *err, const void *error, size_t len);

#endif /* KRING_CLIENT_H */
