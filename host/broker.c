// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker: begins, runs, and ends in order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <systemd/sd-daemon.h>

#include "broker_client.h"
#include "frame.h"

/* For everybody to hear that it ends. */
#define END_USEC	1000000

static const char stopping[] = "the broker was told to end";

static uint32_t take_number(void *owner)
{
	struct broker *broker = owner;

	return kring_mux_take_number(broker->local->mux);
}

static void reset_client(struct switch_port *port, uint32_t number, int error, const char *text)
{
	struct frame f = { .type = KRING_STREAM_RESET, .stream = number };
	uint8_t buf[KRING_STREAM_FRAME_MIN];
	size_t len;
	void *bytes = kring_pack_error(error, "broker", text, &len);

	if (!bytes || len > sizeof(buf) - FRAME_HEADER)
		len = 0;
	frame_store(&f, buf);
	if (len)
		memcpy(buf + FRAME_HEADER, bytes, len);
	free(bytes);
	client_send(port->owner, buf, FRAME_HEADER + len, false);
}

static const struct switch_ops switch_ops = {
	.take_number = take_number,
	.reset = reset_client,
	.event = broker_stream_event,
};

void broker_soon(struct broker *broker)
{
	sd_event_source_set_enabled(broker->soon, SD_EVENT_ONESHOT);
}

static int broker_on_soon(sd_event_source *source, void *userdata)
{
	struct broker *broker = userdata;
	struct broker_client *client, *next;

	(void)source;
	TAILQ_FOREACH(client, &broker->clients, link)
		if (client->output)
			client_output(client);
	for (client = TAILQ_FIRST(&broker->clients); client; client = next) {
		next = TAILQ_NEXT(client, link);
		if (client->doomed)
			client_free(client);
	}
	return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct broker *broker = userdata;

	(void)source;
	/* A second one does not wait for anybody. */
	if (broker->stopping)
		_exit(TOOL_FAILED);
	broker->stopping = info->ssi_signo;
	return 0;
}

static int catch_signals(struct broker *broker)
{
	sigset_t set;
	int code;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	code = sd_event_add_signal(broker->loop, NULL, SIGINT, on_signal, broker);
	if (code >= 0)
		code = sd_event_add_signal(broker->loop, NULL, SIGTERM, on_signal, broker);
	return code < 0 ? code : 0;
}

/* Each client and each connection is a file. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int broker_loop(struct broker *broker, uint64_t usec)
{
	int code = sd_event_run(broker->loop, usec);

	return code == -EINTR ? 0 : code;
}

static bool all_told(const struct broker *broker)
{
	const struct broker_client *client;

	/* To those that wait for the next broker there is nothing to be told. */
	if (broker->stopping == SIGTERM)
		return !broker->ring || !(broker->out_len || broker->local_turn.queued ||
					  switch_pending(broker->sb));
	TAILQ_FOREACH(client, &broker->clients, link)
		if (!client->doomed && !outbox_empty(&client->outbox))
			return false;
	return !broker->ring || broker_ring_idle(broker);
}

/* Those to the broker itself. */
static void end_own(struct broker_client *client)
{
	struct kring_stream *stream;
	size_t len;
	void *error;

	for (stream = kring_mux_next(client->mux, NULL); stream;
	     stream = kring_mux_next(client->mux, stream))
		reset_client(&client->port, kring_stream_number(stream), ESHUTDOWN, stopping);
	error = kring_pack_error(ESHUTDOWN, "broker", stopping, &len);
	kring_mux_reset_all(client->mux, error, error ? len : 0);
	free(error);
}

/* Both sides of each stream hear that it is over. */
static void end_streams(struct broker *broker)
{
	struct broker_client *client;

	broker_event(broker, false, "broker", "ending");
	switch_set_down(broker->sb, stopping);
	switch_end_all(broker->sb, ESHUTDOWN, stopping);
	TAILQ_FOREACH(client, &broker->clients, link)
		end_own(client);
}

/* Whoever says SIGTERM may start the next one, and streams of clients go on with that. */
static void leave_streams(struct broker *broker)
{
	struct switch_stats stats;

	switch_stats(broker->sb, &stats);
	broker_event(broker, false, "broker", "ending; streams for the next one: %llu",
		     (unsigned long long)stats.streams);
}

static void broker_end(struct broker *broker)
{
	uint64_t now, end;

	sd_notify(0, "STOPPING=1");
	listener_close(broker->listener);
	broker->listener = NULL;
	if (broker->stopping == SIGTERM)
		leave_streams(broker);
	else
		end_streams(broker);
	/* Their host's end is in this process. */
	local_end(broker->local, ESHUTDOWN, stopping);
	if (broker->ring)
		link_again(broker->ring);
	if (sd_event_now(broker->loop, CLOCK_MONOTONIC, &now) < 0)
		return;
	for (end = now + END_USEC; now < end; sd_event_now(broker->loop, CLOCK_MONOTONIC, &now))
		if (all_told(broker) || broker_loop(broker, end - now) < 0)
			break;
}

static int broker_listen(struct broker *broker, struct kring_error *err)
{
	return listener_unix(&broker->listener, broker->loop, SOCK_SEQPACKET,
			     broker->args->socket, client_accept, broker, err);
}

static int broker_begin(struct broker *broker, struct kring_error *err)
{
	const struct broker_args *args = broker->args;
	struct switch_args switch_args = {
		.streams_max = args->streams_max,
		.port_streams_max = args->streams_max,
		.ops = &switch_ops,
		.owner = broker,
	};
	int code;

	code = sd_event_new(&broker->loop);
	if (code >= 0)
		code = sd_event_add_defer(broker->loop, &broker->soon, broker_on_soon, broker);
	if (code >= 0)
		code = catch_signals(broker);
	if (code < 0) {
		snprintf(err->text, sizeof(err->text), "event loop: %s", strerror(-code));
		return code;
	}
	broker->sb = switch_new(&switch_args);
	if (!broker->sb) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	code = broker_resume_init(broker);
	if (code) {
		snprintf(err->text, sizeof(err->text), "event loop: %s", strerror(-code));
		return code;
	}
	code = broker_ring_open(broker, err);
	if (!code)
		code = local_new(&broker->local, broker, err);
	if (!code)
		code = broker_ring_start(broker, err);
	if (!code)
		code = broker_listen(broker, err);
	return code;
}

static void broker_free(struct broker *broker)
{
	struct broker_client *client;

	listener_close(broker->listener);
	while ((client = TAILQ_FIRST(&broker->clients)))
		client_free(client);
	local_free(broker->local);
	broker_ring_close(broker);
	broker_resume_free(broker);
	switch_free(broker->sb);
	sd_event_source_disable_unref(broker->soon);
	sd_event_unref(broker->loop);
	free(broker);
}

int broker_run(const struct broker_args *args, struct kring_error *err)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	int code;

	if (!broker) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return TOOL_FAILED;
	}
	broker->args = args;
	TAILQ_INIT(&broker->turns);
	TAILQ_INIT(&broker->clients);
	LIST_INIT(&broker->subscribers);
	raise_files();
	code = broker_begin(broker, err);
	if (code)
		goto free_broker;

	broker_event(broker, false, "broker", "serving %s on %s", args->region, args->socket);
	sd_notifyf(0, "READY=1\nSTATUS=Serving %.200s", args->region);
	while (!broker->stopping && code >= 0)
		code = broker_loop(broker, UINT64_MAX);
	if (code < 0)
		snprintf(err->text, sizeof(err->text), "event loop: %s", strerror(-code));
	else
		code = 0;
	broker_end(broker);

free_broker:
	broker_free(broker);
	return code ? TOOL_FAILED : TOOL_DONE;
}
