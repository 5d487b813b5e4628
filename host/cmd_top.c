// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring top: show what the broker is doing.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "top.h"

static const char help_text[] =
	"Usage: kring top [OPTION...]\n"
	"\n"
	"Show the broker's streams, the busiest first, how full the rings are, and how many\n"
	"kicks there are, until it is interrupted.\n"
	"\n"
	"  -i, --interval S        seconds between two looks (default 1)\n"
	"      --once              look twice, show it once, and end\n"
	"  -j, --json              an object of JSON a look\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

enum top_option {
	OPTION_ONCE = 0x200,
};

static const struct option options[] = {
	{ "interval", required_argument, NULL, 'i' },
	{ "once", no_argument, NULL, OPTION_ONCE },
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/**
 * struct top - what is shown
 * @client: connection
 * @err: for the refusal
 * @interval: milliseconds
 * @once: show it once
 * @json: as JSON
 * @view: what has come
 * @before: what came the last time
 * @connection: that the last look was over
 * @again: it was lost with the connection
 * @anew: the connection is another one than the last time
 * @code: how the last look has ended
 */
struct top {
	struct client *client;
	struct kring_error *err;
	uint64_t interval;
	bool once;
	bool json;
	struct top_view view;
	struct top_view before;
	unsigned int connection;
	bool again;
	bool anew;
	int code;
};

static void top_on_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct top *top = kring_stream_owner(stream);
	Kring__Info *info = kring_unpack(&kring__info__descriptor, message, len);

	if (info)
		top_add(&top->view, info);
	kring_unpack_free(info);
}

static void top_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct top *top = kring_stream_owner(stream);

	top->view.info = kring_unpack_close(&kring__info__descriptor, result, len);
	if (!top->view.info) {
		snprintf(top->err->text, sizeof(top->err->text),
			 "the broker's answer makes no sense");
		top->code = -EBADMSG;
	}
	kring_close(stream, NULL);
	client_stop(top->client);
}

static void top_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct top *top = kring_stream_owner(stream);
	unsigned int connection = client_connection(top->client);

	client_stop(top->client);
	top->again = connection && connection != top->connection;
	if (top->again)
		return;
	top->code = client_error(top->err, error, len);
	if (top->code == -ENOENT)
		snprintf(top->err->text, sizeof(top->err->text),
			 "there is no broker here, which this would tell of");
}

static const struct kring_stream_ops top_ops = {
	.control = top_on_control,
	.closed = top_on_closed,
	.reset = top_on_reset,
};

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Once; @again: the connection was lost meanwhile, and it may be tried again. */
static int top_ask(struct top *top)
{
	struct kring_stream *stream;
	int code;

	top->code = 0;
	top->again = false;
	top->connection = client_connection(top->client);
	stream = kring_open(client_mux(top->client), "broker.stat", NULL, 0, &top_ops, top);
	if (!stream) {
		snprintf(top->err->text, sizeof(top->err->text), "%s", strerror(errno));
		return -ENOMEM;
	}
	code = client_run(top->client, top->err);
	top->view.time = monotonic();
	return code ? code : top->code;
}

static int top_look(struct top *top)
{
	unsigned int connection = top->connection;
	int code;

	top_clear(&top->before);
	top->before = top->view;
	memset(&top->view, 0, sizeof(top->view));
	do {
		top_clear(&top->view);
		code = top_ask(top);
	} while (!code && top->again);
	/* What another broker counts has begun at 0. */
	top->anew = connection && connection != top->connection;
	if (top->anew)
		top_clear(&top->before);
	return code;
}

static int top_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct top *top = userdata;

	(void)source;
	(void)usec;
	client_stop(top->client);
	return 0;
}

static int top_sleep(struct top *top)
{
	int code;

	code = sd_event_add_time_relative(client_loop(top->client), NULL, CLOCK_MONOTONIC,
					  top->interval * 1000, 0, top_on_timer, top);
	if (code < 0) {
		snprintf(top->err->text, sizeof(top->err->text), "timer: %s", strerror(-code));
		return code;
	}
	return client_run(top->client, top->err);
}

static int top_show(struct top *top)
{
	struct winsize size = { 0 };
	bool screen = !top->once && !top->json && isatty(STDOUT_FILENO);

	if (top->json) {
		top_print_json(&top->view, &top->before);
	} else {
		if (screen) {
			ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
			fputs("\033[H\033[2J", stdout);
		}
		top_print(&top->view, &top->before, size.ws_row);
		if (!screen && !top->once)
			putchar('\n');
	}
	if (!fflush(stdout)) {
		if (top->anew)
			tool_notice("top: the connection was lost, and is there again");
		return 0;
	}
	if (errno != EPIPE)
		snprintf(top->err->text, sizeof(top->err->text), "stdout: %s", strerror(errno));
	return -errno;
}

static int top_run(struct top *top, const struct client_args *args)
{
	int code;

	if (client_open(&top->client, args, top->err))
		return TOOL_FAILED;
	code = top_look(top);
	while (!code) {
		/* Rates need two moments. */
		if (!top->once)
			code = top_show(top);
		if (!code)
			code = top_sleep(top);
		if (!code)
			code = top_look(top);
		if (!code && top->once && top->before.info) {
			code = top_show(top);
			break;
		}
	}
	client_close(top->client);
	top_clear(&top->view);
	top_clear(&top->before);
	return code ? TOOL_FAILED : TOOL_DONE;
}

int cmd_top(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	struct top top = { .err = err, .interval = 1000 };
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":i:jh", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'i':
			if (!parse_milliseconds(optarg, &top.interval) || !top.interval)
				return tool_usage(err, "--interval %.64s: not seconds", optarg);
			break;
		case OPTION_ONCE:
			top.once = true;
			break;
		case 'j':
			top.json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "top: what is %.64s?", argv[optind]);
	return top_run(&top, &client);
}
