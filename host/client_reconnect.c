// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A connection that is lost is made again, from time to time, until --reconnect-timeout is over.
 *
 * Streams are parked meanwhile: whoever has them may write and read as far as there is room, is
 * told of what had arrived before, and waits for the rest as ever.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_internal.h"

/* Between two attempts, at first and at last. */
#define PAUSE_MIN	20000
#define PAUSE_MAX	200000

/* Else it would be a quarter of a second. */
#define ACCURACY	1000

static uint64_t monotonic(struct client *client)
{
	uint64_t now = 0;

	sd_event_now(client->loop, CLOCK_MONOTONIC, &now);
	return now;
}

/* One source for each purpose: made when it is needed first, started again from then on. */
static int set_timer(struct client *client, sd_event_source **source, uint64_t usec,
		     sd_event_time_handler_t handler)
{
	int code;

	if (!*source)
		code = sd_event_add_time_relative(client->loop, source, CLOCK_MONOTONIC, usec,
						  ACCURACY, handler, client);
	else
		code = sd_event_source_set_time_relative(*source, usec);
	if (code >= 0)
		code = sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
	if (code < 0)
		client_lose(client, code, "reconnecting: %s", strerror(-code));
	return code < 0 ? code : 0;
}

static void client_try_later(struct client *client);

static int client_on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)usec;
	if (client->code || client->link)
		return 0;
	client->attempt.text[0] = '\0';
	if (client_attach(client, 0, &client->attempt))
		client_try_later(client);
	return 0;
}

static void client_try_later(struct client *client)
{
	uint64_t pause = client->pause;

	client->pause = 2 * pause < PAUSE_MAX ? 2 * pause : PAUSE_MAX;
	set_timer(client, &client->retry, pause, client_on_retry);
}

static int client_on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *client = userdata;
	const char *attempt = client->attempt.text;

	(void)source;
	(void)usec;
	if (!*attempt)
		attempt = "no answer from the guest's agent";
	client_lose(client, client->lost_code, "%.120s, and not had again in %g s: %.100s",
		    client->why.text, client->args.reconnect_timeout / 1000.0, attempt);
	return 0;
}

/* From now on, unless it is waited already. */
static void client_wait(struct client *client, int code, const char *why)
{
	if (client->waits)
		return;
	client->waits = true;
	client->connection++;
	client->lost_at = monotonic(client);
	client->lost_code = code;
	snprintf(client->why.text, sizeof(client->why.text), "%s", why);
	if (client->args.verbose)
		tool_notice("%s: streams wait", why);
	client->pause = PAUSE_MIN;
	set_timer(client, &client->deadline, client->args.reconnect_timeout * 1000,
		  client_on_deadline);
}

/*
 * Without a link nobody pulls, and what had arrived would not be told. What was opened since is
 * parked too: so it is pulled when there is somebody to send it to.
 */
static int client_on_offline(sd_event_source *source, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	if (client->link || client->code)
		return 0;
	kring_mux_park(client->mux);
	while (kring_mux_pull(client->mux, client->out, sizeof(client->out)))
		;
	return 0;
}

void client_offline(struct client *client)
{
	int code;

	if (!client->offline) {
		code = sd_event_add_defer(client->loop, &client->offline, client_on_offline,
					  client);
		if (code < 0) {
			client->offline = NULL;
			return;
		}
	}
	sd_event_source_set_enabled(client->offline, SD_EVENT_ONESHOT);
}

/* There is nobody to come back to, or nobody who would know of our streams. */
static bool client_gives_up(const struct client *client)
{
	return !client->args.reconnect_timeout || (client->met && !client->hello.peer_resumes);
}

void client_lost(struct client *client, int code)
{
	char text[200];

	snprintf(text, sizeof(text), "connection to the guest lost: %.160s",
		 link_fault(client->link, code));
	if (client_gives_up(client)) {
		client_lose(client, code, "%s", text);
		return;
	}
	link_close(client->link);
	client->link = NULL;
	client_wait(client, code, text);
	kring_hello_anew(&client->hello, client->mux, text);
	client_offline(client);
	client_try_later(client);
}

void client_meets(struct client *client)
{
	if (client->hello.peer_resumes)
		client_wait(client, -ECONNRESET, "the guest's agent has attached anew");
	else
		client_resumed(client);
}

void client_resumed(struct client *client)
{
	if (!client->waits)
		return;
	client->waits = false;
	sd_event_source_set_enabled(client->deadline, SD_EVENT_OFF);
	if (client->args.verbose)
		tool_notice("connected again after %.1f s: streams go on",
			    (monotonic(client) - client->lost_at) / 1e6);
}

void client_reconnect_close(struct client *client)
{
	sd_event_source_disable_unref(client->retry);
	sd_event_source_disable_unref(client->deadline);
	sd_event_source_disable_unref(client->offline);
}
