// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A sub-command's connection to the guest's agent.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_internal.h"

/* For what was sent to go out, at the end. */
#define LINGER_USEC	1000000

void client_lose(struct client *client, int code, const char *fmt, ...)
{
	va_list args;
	size_t len;
	void *error;

	if (client->code)
		return;
	client->code = code;
	va_start(args, fmt);
	vsnprintf(client->err.text, sizeof(client->err.text), fmt, args);
	va_end(args);

	error = kring_pack_error(-code, "connection", client->err.text, &len);
	kring_mux_reset_all(client->mux, error, error ? len : 0);
	free(error);
}

static int client_on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)usec;
	client_lose(client, -ETIMEDOUT, "no answer from the agent in %g s: does kringd run?",
		    client->args.connect_timeout / 1000.0);
	return 0;
}

/* An empty one is none. */
static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Which guest: the command line before the environment. */
static int client_choose(struct client_args *args, struct kring_error *err)
{
	if (args->socket && args->region) {
		snprintf(err->text, sizeof(err->text),
			 "--socket or --region: a guest is reached through one of them");
		return -EINVAL;
	}
	if (!args->doorbell)
		args->doorbell = environment("KRING_DOORBELL");
	if (!args->socket && !args->region)
		args->socket = environment("KRING_SOCKET");
	if (!args->socket && !args->region)
		args->region = environment("KRING_REGION");
	if (args->socket || args->region)
		return 0;
	snprintf(err->text, sizeof(err->text),
		 "which guest? --socket or --region (or KRING_SOCKET, KRING_REGION) is needed");
	return -EDESTADDRREQ;
}

static int client_prepare(struct client *client, struct kring_error *err)
{
	struct kring_mux_args args = {
		.role = KRING_ROLE_HOST,
		.frame_max = KRING_STREAM_FRAME_MAX,
		.ops = &client_mux_ops,
		.owner = client,
	};
	int code;

	code = sd_event_new(&client->loop);
	if (code < 0)
		goto fail;
	client->mux = kring_mux_new(&args);
	if (!client->mux) {
		code = -ENOMEM;
		goto fail;
	}
	kring_hello_init(&client->hello, "kring " KRING_TOOL_VERSION);
	client->hello.resumes = client->args.reconnect_timeout;
	client->connection = 1;
	return 0;

fail:
	snprintf(err->text, sizeof(err->text), "%s", strerror(-code));
	return code;
}

static int client_start_timer(struct client *client, struct kring_error *err)
{
	int code;

	code = sd_event_add_time_relative(client->loop, &client->timer, CLOCK_MONOTONIC,
					  client->args.connect_timeout * 1000, 0,
					  client_on_timeout, client);
	if (code < 0)
		snprintf(err->text, sizeof(err->text), "timer: %s", strerror(-code));
	return code < 0 ? code : 0;
}

int client_open(struct client **opened, const struct client_args *args, struct kring_error *err)
{
	struct client *client = calloc(1, sizeof(*client));
	int code;

	if (!client) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	client->args = *args;
	code = client_choose(&client->args, err);
	if (!code)
		code = client_prepare(client, err);
	if (!code)
		code = client_attach(client, args->connect_timeout, err);
	if (!code)
		code = client_start_timer(client, err);
	if (code)
		client_close(client);
	else
		*opened = client;
	return code;
}

static void client_linger(struct client *client)
{
	uint64_t now, end;

	if (sd_event_now(client->loop, CLOCK_MONOTONIC, &now) < 0)
		return;
	end = now + LINGER_USEC;
	while (!client->code && client_connected(client) && now < end) {
		if (!client->out_len && !kring_mux_pending(client->mux))
			return;
		if (sd_event_run(client->loop, end - now) < 0)
			return;
		sd_event_now(client->loop, CLOCK_MONOTONIC, &now);
	}
}

void client_close(struct client *client)
{
	if (!client)
		return;
	client_linger(client);
	sd_event_source_disable_unref(client->timer);
	client_reconnect_close(client);
	kring_mux_free(client->mux);
	link_close(client->link);
	sd_event_unref(client->loop);
	free(client);
}

sd_event *client_loop(struct client *client)
{
	return client->loop;
}

struct kring_mux *client_mux(struct client *client)
{
	return client->mux;
}

const struct kring_hello *client_hello(const struct client *client)
{
	return &client->hello;
}

bool client_connected(const struct client *client)
{
	return client->link && client->hello.said;
}

unsigned int client_connection(const struct client *client)
{
	return client->code ? 0 : client->connection;
}

void client_on_pong(struct client *client, void (*pong)(void *owner, uint64_t cookie),
		    void *owner)
{
	client->pong = pong;
	client->pong_owner = owner;
}

void client_on_opened(struct client *client, client_opened_fn opened, void *owner)
{
	client->opened = opened;
	client->opened_owner = owner;
}

static void client_turn(struct client *client)
{
	int code = sd_event_run(client->loop, UINT64_MAX);

	if (code < 0 && code != -EINTR)
		client_lose(client, code, "event loop: %s", strerror(-code));
}

int client_greet(struct client *client, struct kring_error *err)
{
	while (!client->hello.said && !client->code)
		client_turn(client);
	*err = client->err;
	return client->code;
}

int client_run(struct client *client, struct kring_error *err)
{
	while (!client->stopped && !client->code)
		client_turn(client);
	if (client->stopped) {
		client->stopped = false;
		return 0;
	}
	*err = client->err;
	return client->code;
}

void client_stop(struct client *client)
{
	client->stopped = true;
}
