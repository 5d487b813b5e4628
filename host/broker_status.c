// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the broker tells of itself: events, on stderr and as the services broker.events (lines
 * of text) and broker.events.json; and counters, as the service broker.stat.
 *
 * broker.stat: no request; each stream is a CONTROL message Info, with the service in @agent;
 * the result is an Info with the broker's own counters.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker_client.h"
#include "json.h"

/* Lines on stderr in a second: a guest can cause many. */
#define LINES_MAX	50

/**
 * struct subscriber - a stream of broker.events
 * @link: in the list of all
 * @stream: it
 * @json: lines of JSON
 * @lost: events that there was no room for
 */
struct subscriber {
	LIST_ENTRY(subscriber) link;
	struct kring_stream *stream;
	bool json;
	uint64_t lost;
};

static char *event_line(const char *kind, const char *text, bool json)
{
	struct json out = { 0 };
	struct timespec now;
	char stamp[32];
	struct tm tm;
	char *line;
	size_t len;

	out.file = open_memstream(&line, &len);
	if (!out.file)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	if (json) {
		json_object(&out, NULL);
		json_signed(&out, "time", now.tv_sec);
		json_unsigned(&out, "nanoseconds", now.tv_nsec);
		json_string(&out, "event", kind);
		json_string(&out, "text", text);
		json_object_end(&out);
		json_end(&out);
	} else {
		fprintf(out.file, "%s.%03ldZ %-8s %s\n", stamp, now.tv_nsec / 1000000, kind, text);
	}
	return fclose(out.file) ? NULL : line;
}

static void publish(struct subscriber *sub, const char *kind, const char *text)
{
	char *line = event_line(kind, text, sub->json);

	if (!line || kring_stream_room(sub->stream, 0) < strlen(line))
		sub->lost++;
	else
		kring_stream_write(sub->stream, 0, line, strlen(line));
	free(line);
}

/* Whoever reads our stderr, or does not, must not stop the broker: a line fits or is left out. */
static bool stderr_has_room(void)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&fd, 1, 0) == 1 && fd.revents & POLLOUT;
}

static bool may_print(struct broker *broker, bool detail)
{
	struct timespec now;

	if (!stderr_has_room())
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (broker->lines_second != (uint64_t)now.tv_sec) {
		if (broker->lines > LINES_MAX)
			tool_notice("broker: %u more lines were left out",
				    broker->lines - LINES_MAX);
		broker->lines_second = now.tv_sec;
		broker->lines = 0;
	}
	/* Details must not crowd out what matters. */
	if (detail && broker->lines >= LINES_MAX / 2)
		return false;
	return ++broker->lines <= LINES_MAX;
}

void broker_event(struct broker *broker, bool detail, const char *kind, const char *fmt, ...)
{
	char text[320], lost[64];
	struct subscriber *sub;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if ((!detail || broker->args->verbose) && may_print(broker, detail))
		tool_notice("broker: %s", text);
	LIST_FOREACH(sub, &broker->subscribers, link) {
		if (sub->lost && kring_stream_room(sub->stream, 0) > sizeof(text)) {
			snprintf(lost, sizeof(lost), "%llu events were lost",
				 (unsigned long long)sub->lost);
			sub->lost = 0;
			publish(sub, "lost", lost);
		}
		publish(sub, kind, text);
	}
}

void broker_stream_event(void *owner, const struct switch_stream *stream,
			 enum switch_event event, const char *text)
{
	static const char *const words[] = {
		[SWITCH_OPENED] = "opened", [SWITCH_RESUMED] = "taken up",
		[SWITCH_PARKED] = "parked", [SWITCH_CLOSED] = "closed", [SWITCH_RESET] = "reset",
	};
	const struct broker_client *client = stream->port ? stream->port->owner : NULL;

	broker_event(owner, true, "stream", "stream %u %s: client %u's %u, %s%s%s", stream->ring,
		     words[event], client ? client->serial : 0, stream->number,
		     stream->service[0] ? stream->service : "?", text ? ", " : "",
		     text ? text : "");
}

static void subscriber_free(struct subscriber *sub)
{
	LIST_REMOVE(sub, link);
	free(sub);
}

static void subscriber_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	subscriber_free(kring_stream_owner(stream));
	kring_stream_close(stream, NULL, 0);
}

static void subscriber_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	subscriber_free(kring_stream_owner(stream));
}

static const struct kring_stream_ops subscriber_ops = {
	.closed = subscriber_on_closed,
	.reset = subscriber_on_reset,
};

static void open_events(struct broker *broker, struct kring_stream *stream, bool json)
{
	struct subscriber *sub = calloc(1, sizeof(*sub));

	if (!sub || kring_accept(stream, NULL, 0)) {
		free(sub);
		kring_reset(stream, ENOMEM, "broker", "there is no memory");
		return;
	}
	sub->stream = stream;
	sub->json = json;
	LIST_INSERT_HEAD(&broker->subscribers, sub, link);
	kring_stream_set_ops(stream, &subscriber_ops, sub);
}

void broker_status_open(struct broker *broker, struct kring_stream *stream, const char *service)
{
	if (!strcmp(service, "broker.stat"))
		broker_stat_open(broker, stream);
	else if (!strcmp(service, "broker.events"))
		open_events(broker, stream, false);
	else if (!strcmp(service, "broker.events.json"))
		open_events(broker, stream, true);
	else
		kring_reset(stream, ENOENT, "open", "the broker has no such service");
}
