// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring events: show what happens at the broker.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "output.h"

static const char help_text[] =
	"Usage: kring events [OPTION...]\n"
	"\n"
	"Show what happens at the broker, a line each, until it is interrupted: clients that\n"
	"come and go, streams, the guest's agent, the ring.\n"
	"\n"
	"  -j, --json              an object of JSON a line\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/**
 * struct events - a stream of events that is shown
 * @client: connection
 * @err: for the refusal
 * @stream: it, NULL: it is over
 * @output: stdout
 * @code: how it has ended
 */
struct events {
	struct client *client;
	struct kring_error *err;
	struct kring_stream *stream;
	struct output output;
	int code;
};

static void events_end(struct events *events, int code)
{
	events->code = code;
	events->stream = NULL;
	output_stop(&events->output);
	client_stop(events->client);
}

static void events_on_readable(struct kring_stream *stream, unsigned int channel)
{
	struct events *events = kring_stream_owner(stream);

	if (channel == 0)
		output_readable(&events->output);
}

static void events_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	kring_close(stream, NULL);
	events_end(kring_stream_owner(stream), 0);
}

static void events_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct events *events = kring_stream_owner(stream);

	events_end(events, client_error(events->err, error, len));
}

static const struct kring_stream_ops events_ops = {
	.readable = events_on_readable,
	.closed = events_on_closed,
	.reset = events_on_reset,
};

static void events_on_broken(struct output *output, int code)
{
	struct events *events = output->owner;

	/* As kring events | head has it: no news to anybody. */
	if (code != -EPIPE)
		snprintf(events->err->text, sizeof(events->err->text), "stdout: %s",
			 strerror(-code));
	kring_reset(events->stream, ECANCELED, "events", "nobody reads them");
	events_end(events, code);
}

static int events_run(struct events *events, const struct client_args *args, bool json)
{
	const char *service = json ? "broker.events.json" : "broker.events";
	int code;

	signal(SIGPIPE, SIG_IGN);
	if (client_open(&events->client, args, events->err))
		return TOOL_FAILED;
	events->output.escape = true;
	events->output.broken = events_on_broken;
	events->output.owner = events;
	events->stream = kring_open(client_mux(events->client), service, NULL, 1 << 0,
				    &events_ops, events);
	code = events->stream ? output_start(&events->output, client_loop(events->client),
					     STDOUT_FILENO, events->stream, 0) : -errno;
	if (code) {
		snprintf(events->err->text, sizeof(events->err->text), "events: %s",
			 strerror(-code));
	} else {
		code = client_run(events->client, events->err);
		if (!code)
			code = events->code;
	}
	client_close(events->client);
	output_close(&events->output);
	return code ? TOOL_FAILED : TOOL_DONE;
}

int cmd_events(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	struct events events = { .err = err };
	bool json = false;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":jh", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "events: what is %.64s?", argv[optind]);
	return events_run(&events, &client, json);
}
