/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of kring forward share: cmd_forward.c has the command line, forward_listen.c
 * connections to the guest, forward_reverse.c those that the guest listens for, forward_serve.c
 * services that guest programs know by name, and vsock.
 */
#ifndef KRING_FORWARD_H
#define KRING_FORWARD_H

#include "client.h"
#include "forward_spec.h"
#include "listener.h"
#include "local_services.h"

struct forwarder;

/**
 * struct forward - one of the command line's
 * @forwarder: whose
 * @reverse: it listens in the guest
 * @spec: what it is
 * @listener: on the host
 * @target: of the host's, where it is reverse
 * @stream: that listens in the guest
 */
struct forward {
	struct forwarder *forwarder;
	bool reverse;
	struct forward_spec spec;
	struct listener *listener;
	struct target target;
	struct kring_stream *stream;
};

/**
 * struct forwarder - all of them
 * @client: connection
 * @err: why it ends
 * @failed: it ends for a failure
 * @list: forwards
 * @count: how many
 * @services: --service
 * @vsock_path: --vsock-uds, or NULL
 * @vsock: its socket
 * @serving: stream that tells the guest of both
 * @dials: connections
 */
struct forwarder {
	struct client *client;
	struct kring_error *err;
	bool failed;
	struct forward *list;
	unsigned int count;
	struct local_services services;
	const char *vsock_path;
	struct vsock_uds *vsock;
	struct kring_stream *serving;
	struct dials dials;
};

/* cmd_forward.c: forwarder.err says why it ends. */
void forwarder_fail(struct forwarder *forwarder);

/* forward_listen.c */
int forward_listen(struct forward *forward, struct kring_error *err);

/* forward_reverse.c */
int forward_reverse(struct forward *forward, struct kring_error *err);

/* forward_serve.c: nothing happens where neither is asked for. */
int forward_serve(struct forwarder *forwarder, struct kring_error *err);
void forward_serve_end(struct forwarder *forwarder);

/* A stream that belongs to @serving. */
void forward_serve_opened(struct forwarder *forwarder, struct kring_stream *stream,
			  const Kring__Open *open);

#endif /* KRING_FORWARD_H */
