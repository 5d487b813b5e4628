// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A sub-command's connection to the guest's agent.
 *
 * The multiplexer on one side, a link on the other: frames are carried between them whenever
 * either has some, at most BATCH in each direction before other sources have their turn.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "link.h"
#include "printable.h"

/* Frames in each direction before the loop looks at something else. */
#define BATCH	64

/* For what was sent to go out, at the end. */
#define LINGER_USEC	1000000

/**
 * struct client - a connection
 * @loop: event loop
 * @link: where frames come from and go to
 * @mux: the streams
 * @hello: what both sides have said
 * @timer: --connect-timeout, until the agent has said Hello
 * @timeout: its milliseconds
 * @pong: as of client_on_pong()
 * @pong_owner: its
 * @opened: who is told of streams that the guest opens, or NULL
 * @opened_owner: its
 * @stopped: client_stop() was called
 * @code: 0, or why the connection is lost
 * @err: the same in words
 * @out: frame that was pulled, and not sent yet
 * @out_len: its bytes, 0: there is none
 * @in: frame that was received, and not given to @mux yet
 * @in_len: its bytes, 0: there is none
 */
struct client {
	sd_event *loop;
	struct link *link;
	struct kring_mux *mux;
	struct kring_hello hello;
	sd_event_source *timer;
	uint64_t timeout;
	void (*pong)(void *owner, uint64_t cookie);
	void *pong_owner;
	void (*opened)(void *owner, struct kring_stream *stream, uint32_t parent);
	void *opened_owner;
	bool stopped;
	int code;
	struct kring_error err;
	size_t out_len;
	size_t in_len;
	uint8_t out[KRING_STREAM_FRAME_MAX];
	uint8_t in[KRING_STREAM_FRAME_MAX];
};

__attribute__((format(printf, 3, 4)))
static void client_lose(struct client *client, int code, const char *fmt, ...)
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

static void client_lose_link(struct client *client, int code)
{
	client_lose(client, code, "connection to the guest lost: %.160s",
		    link_fault(client->link, code));
}

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
		client_lose_link(client, code);
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
		client_lose_link(client, in);
	else if (out && out != -EAGAIN)
		client_lose_link(client, out);
}

static void client_on_output(struct kring_mux *mux)
{
	struct client *client = kring_mux_owner(mux);

	if (client->link)
		link_again(client->link);
}

static void client_on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct client *client = kring_mux_owner(mux);
	int code = kring_hello_received(&client->hello, mux, message, len);

	if (code == -EPROTO)
		client_lose(client, code, "the guest's agent speaks another version");
	else if (code < 0)
		client_lose(client, code, "the guest's agent has sent a strange Hello: %s",
			    strerror(-code));
	else
		client->timer = sd_event_source_disable_unref(client->timer);
}

static void client_on_pong_frame(struct kring_mux *mux, uint64_t cookie)
{
	struct client *client = kring_mux_owner(mux);

	if (client->pong)
		client->pong(client->pong_owner, cookie);
}

static int client_on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)usec;
	client_lose(client, -ETIMEDOUT, "no answer from the agent in %g s: does kringd run?",
		    client->timeout / 1000.0);
	return 0;
}

static void client_on_stream(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
			     const void *request, size_t len)
{
	struct client *client = kring_mux_owner(mux);

	(void)request;
	(void)len;
	if (client->opened)
		client->opened(client->opened_owner, stream, parent);
	else
		kring_reset(stream, ENOENT, "open", "nobody listens here");
}

static const struct kring_mux_ops client_mux_ops = {
	.output = client_on_output,
	.opened = client_on_stream,
	.hello = client_on_hello,
	.pong = client_on_pong_frame,
};

/* An empty one is none. */
static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int client_connect(struct client *client, const struct client_args *args,
			  struct kring_error *err)
{
	const char *doorbell = args->doorbell ? args->doorbell : environment("KRING_DOORBELL");
	const char *socket = args->socket;
	const char *region = args->region;
	int code;

	if (socket && region) {
		snprintf(err->text, sizeof(err->text),
			 "--socket or --region: a guest is reached through one of them");
		return -EINVAL;
	}
	if (!socket && !region)
		socket = environment("KRING_SOCKET");
	if (!socket && !region)
		region = environment("KRING_REGION");
	if (socket)
		return link_connect(&client->link, socket, args->connect_timeout, err);
	if (!region) {
		snprintf(err->text, sizeof(err->text),
			 "which guest? --socket or --region (or KRING_SOCKET, KRING_REGION) is needed");
		return -EDESTADDRREQ;
	}

	code = link_region(&client->link, region, doorbell, err);
	if (code == -EBUSY)
		strncat(err->text, "; where that is a broker, use --socket",
			sizeof(err->text) - strlen(err->text) - 1);
	return code;
}

static int client_start_timer(struct client *client)
{
	int code;

	code = sd_event_add_time_relative(client->loop, &client->timer, CLOCK_MONOTONIC,
					  client->timeout * 1000, 0, client_on_timeout, client);
	return code < 0 ? code : 0;
}

int client_open(struct client **opened, const struct client_args *args, struct kring_error *err)
{
	struct kring_mux_args mux_args = { .role = KRING_ROLE_HOST, .ops = &client_mux_ops };
	struct client *client;
	int code;

	client = calloc(1, sizeof(*client));
	if (!client) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	client->timeout = args->connect_timeout;
	code = sd_event_new(&client->loop);
	if (code < 0)
		goto fail;
	code = client_connect(client, args, err);
	if (code)
		goto free_client;

	mux_args.frame_max = client->link->frame_max;
	mux_args.owner = client;
	client->mux = kring_mux_new(&mux_args);
	if (!client->mux) {
		code = -ENOMEM;
		goto fail;
	}
	code = link_watch(client->link, client->loop, client_ready, client);
	if (code)
		goto fail;
	code = client_start_timer(client);
	if (code)
		goto fail;
	kring_hello_init(&client->hello, "kring " KRING_TOOL_VERSION);
	code = kring_hello_say(&client->hello, client->mux);
	if (code)
		goto fail;
	*opened = client;
	return 0;

fail:
	snprintf(err->text, sizeof(err->text), "%s", strerror(-code));
free_client:
	client_close(client);
	return code;
}

static void client_linger(struct client *client)
{
	uint64_t now, end;

	if (sd_event_now(client->loop, CLOCK_MONOTONIC, &now) < 0)
		return;
	end = now + LINGER_USEC;
	while (!client->code && now < end) {
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
	if (client->link && client->mux && client->hello.said)
		client_linger(client);
	sd_event_source_disable_unref(client->timer);
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

void client_on_pong(struct client *client, void (*pong)(void *owner, uint64_t cookie),
		    void *owner)
{
	client->pong = pong;
	client->pong_owner = owner;
}

void client_on_opened(struct client *client,
		      void (*opened)(void *owner, struct kring_stream *stream, uint32_t parent),
		      void *owner)
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

int client_error(struct kring_error *err, const void *error, size_t len)
{
	Kring__Error *e = kring_unpack(&kring__error__descriptor, error, len);
	char step[64], text[sizeof(err->text)];
	int number = EPROTO;

	if (!e) {
		snprintf(err->text, sizeof(err->text),
			 "the guest's agent has refused, and its reason makes no sense");
		return -EPROTO;
	}
	if (e->number > 0 && e->number < 4096)
		number = e->number;
	printable(step, sizeof(step), e->step, strlen(e->step));
	printable(text, sizeof(text), e->text, strlen(e->text));
	/* The connection's own losses need no prefix; they are whole sentences. */
	if (!*step || !strcmp(step, "connection"))
		snprintf(err->text, sizeof(err->text), "%s", *text ? text : strerror(number));
	else
		snprintf(err->text, sizeof(err->text), "%s: %.180s", step,
			 *text ? text : strerror(number));
	kring_unpack_free(e);
	return -number;
}
