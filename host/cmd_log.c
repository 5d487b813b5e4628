// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring log: show the guest's log.
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
	"Usage: kring log [OPTION...]\n"
	"\n"
	"Show the guest's log: its journal, where it has one, else its kernel's.\n"
	"\n"
	"  -f, --follow            go on with what is added, until it is interrupted\n"
	"  -n, --lines N           only the last N\n"
	"  -k, --kernel            the kernel's only\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"On a terminal, control characters are shown as escapes.\n";

static const struct option options[] = {
	{ "follow", no_argument, NULL, 'f' },
	{ "lines", required_argument, NULL, 'n' },
	{ "kernel", no_argument, NULL, 'k' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/**
 * struct log - a log that is shown
 * @client: connection
 * @err: for the refusal
 * @stream: it, NULL: it is over
 * @output: stdout
 * @code: how it has ended
 */
struct log {
	struct client *client;
	struct kring_error *err;
	struct kring_stream *stream;
	struct output output;
	int code;
};

static void log_end(struct log *log, int code)
{
	log->code = code;
	log->stream = NULL;
	output_stop(&log->output);
	client_stop(log->client);
}

static void log_on_readable(struct kring_stream *stream, unsigned int channel)
{
	struct log *log = kring_stream_owner(stream);

	if (channel == 0)
		output_readable(&log->output);
}

static void log_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	kring_close(stream, NULL);
	log_end(kring_stream_owner(stream), 0);
}

static void log_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct log *log = kring_stream_owner(stream);

	log_end(log, client_error(log->err, error, len));
}

static const struct kring_stream_ops log_ops = {
	.readable = log_on_readable,
	.closed = log_on_closed,
	.reset = log_on_reset,
};

static void log_on_broken(struct output *output, int code)
{
	struct log *log = output->owner;

	/* As kring log | head has it: no news to anybody. */
	if (code != -EPIPE)
		snprintf(log->err->text, sizeof(log->err->text), "stdout: %s", strerror(-code));
	kring_reset(log->stream, ECANCELED, "log", "nobody reads it");
	log_end(log, code);
}

static int log_run(struct log *log, const struct client_args *args, const Kring__Log *request)
{
	int code;

	signal(SIGPIPE, SIG_IGN);
	if (client_open(&log->client, args, log->err))
		return TOOL_FAILED;
	log->output.escape = true;
	log->output.broken = log_on_broken;
	log->output.owner = log;
	log->stream = kring_open(client_mux(log->client), "log", &request->base, 0x1, &log_ops,
				 log);
	code = log->stream ? output_start(&log->output, client_loop(log->client), STDOUT_FILENO,
					  log->stream, 0) : -errno;
	if (code) {
		snprintf(log->err->text, sizeof(log->err->text), "log: %s", strerror(-code));
	} else {
		code = client_run(log->client, log->err);
		if (!code)
			code = log->code;
	}
	client_close(log->client);
	output_close(&log->output);
	return code ? TOOL_FAILED : TOOL_DONE;
}

int cmd_log(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	Kring__Log request = KRING__LOG__INIT;
	struct log log = { .err = err };
	uint64_t lines;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":fn:kh", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'f':
			request.follow = true;
			break;
		case 'n':
			if (!parse_count(optarg, &lines) || lines > UINT32_MAX)
				return tool_usage(err, "--lines %.64s: not a number", optarg);
			request.lines = lines;
			break;
		case 'k':
			request.kernel = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "log: what is %.64s?", argv[optind]);
	return log_run(&log, &client, &request);
}
