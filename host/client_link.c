// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The multiplexer on one side, a link on the other: frames are carried between them whenever
 * either has some, at most BATCH in each direction before other sources have their turn.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_internal.h"

/* Frames in each direction before the loop looks at something else. */
#define BATCH	64

/*
 * Frames from the multiplexer to the link. Return: 0: there are no more, -EAGAIN: the link
 * has no room, 1: there are more, else the link is broken.
 */
static int client_output(struct client *client)
{
	int i, code;

	for (i = 0; i < BATCH; i++) {
		if (!client->out_len)
			client->out_len = kring_mux_pull(client->mux, client->out,
							 sizeof(client->out));
		if (!client->out_len)
			return 0;
		code = link_send(client->link, client->out, client->out_len);
		if (code)
			return code;
		client->out_len = 0;
	}
	return 1;
}

/* The same, the other way round; -ENOBUFS: the multiplexer has answers to send first. */
static int client_input(struct client *client)
{
	ssize_t n;
	int i;

	for (i = 0; i < BATCH && !client->code; i++) {
		if (!client->in_len) {
			n = link_recv(client->link, client->in, sizeof(client->in));
			if (n == -EMSGSIZE)
				continue;
			if (n < 0)
				return n;
			client->in_len = n;
		}
		if (kring_mux_receive(client->mux, client->in, client->in_len))
			return -ENOBUFS;
		client->in_len = 0;
	}
	return 1;
}

/* Receive first: a peer that has said its last words and gone is heard before it is missed. */
static void client_ready(struct link *link, int code, void *owner)
{
	struct client *client = owner;
	int in, out;

	if (client->code)
		return;
	if (code) {
		client_lost(client, code);
		return;
	}

	in = client_input(client);
	if (client->code)
		return;
	out = client_output(client);
	link_flush(link);
	if (in == 1 || out == 1 || (in == -ENOBUFS && !out)) {
		link_again(link);
		return;
	}
	if (in != -EAGAIN && in != -ENOBUFS)
		client_lost(client, in);
	else if (out && out != -EAGAIN)
		client_lost(client, out);
}

static int client_connect(struct client *client, uint64_t wait, struct kring_error *err)
{
	const struct client_args *args = &client->args;
	int code;

	if (args->socket)
		return link_connect(&client->link, args->socket, wait, err);
	code = link_region(&client->link, args->region, args->doorbell, err);
	if (code == -EBUSY)
		strncat(err->text, "; where that is a broker, use --socket",
			sizeof(err->text) - strlen(err->text) - 1);
	return code;
}

/* Whoever owns a region says what it is. */
static void client_introduce(struct client *client)
{
	struct kring_hello *hello = &client->hello;
	struct kring_host *host;

	if (!client->args.region)
		return;
	host = link_region_host(client->link);
	hello->generation = kring_host_generation(host);
	hello->restored = kring_host_restored(host);
	hello->has_uuid = kring_host_uuid(host, hello->uuid);
}

/* What waited to be said of the last connection is not for this one. */
static void client_forget_notices(struct client *client)
{
	kring_mux_hold(client->mux, true);
	while (kring_mux_pull(client->mux, client->out, sizeof(client->out)))
		;
	kring_mux_hold(client->mux, false);
	client->out_len = 0;
	client->in_len = 0;
}

int client_attach(struct client *client, uint64_t wait, struct kring_error *err)
{
	int code;

	client_forget_notices(client);
	code = client_connect(client, wait, err);
	if (code) {
		client->link = NULL;
		return code;
	}
	kring_mux_set_frame_max(client->mux, client->link->frame_max);
	client_introduce(client);
	code = link_watch(client->link, client->loop, client_ready, client);
	if (!code)
		code = kring_hello_say(&client->hello, client->mux);
	if (!code)
		return 0;
	snprintf(err->text, sizeof(err->text), "%s", strerror(-code));
	link_close(client->link);
	client->link = NULL;
	return code;
}
