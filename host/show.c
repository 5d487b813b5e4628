// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The text of one stream on stdout: the guest's log, the broker's events.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "show.h"

/**
 * struct show - a stream that is shown
 * @args: what it is
 * @client: connection
 * @err: for the refusal
 * @stream: it, NULL: it is over
 * @connection: that it was opened over
 * @output: stdout
 * @code: how it has ended
 */
struct show {
	const struct show_args *args;
	struct client *client;
	struct kring_error *err;
	struct kring_stream *stream;
	unsigned int connection;
	struct output output;
	int code;
};

static void show_end(struct show *show, int code)
{
	show->code = code;
	show->stream = NULL;
	output_stop(&show->output);
	client_stop(show->client);
}

static void show_on_readable(struct kring_stream *stream, unsigned int channel)
{
	struct show *show = kring_stream_owner(stream);

	if (channel == 0)
		output_readable(&show->output);
}

static void show_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	kring_close(stream, NULL);
	show_end(kring_stream_owner(stream), 0);
}

static int show_open(struct show *show);

/* It has ended with the connection, and there is another one. */
static bool show_goes_on(const struct show *show)
{
	unsigned int connection = client_connection(show->client);

	return show->args->again && connection && connection != show->connection;
}

static void show_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct show *show = kring_stream_owner(stream);

	if (show_goes_on(show)) {
		output_stop(&show->output);
		if (!show_open(show)) {
			output_again(&show->output, show->stream);
			tool_notice("%s: the connection was lost: what happened meanwhile is not shown",
				    show->args->name);
			return;
		}
	}
	show_end(show, client_error(show->err, error, len));
}

static const struct kring_stream_ops show_ops = {
	.readable = show_on_readable,
	.closed = show_on_closed,
	.reset = show_on_reset,
};

static int show_open(struct show *show)
{
	const struct show_args *args = show->args;

	show->connection = client_connection(show->client);
	show->stream = kring_open(client_mux(show->client), args->service, args->request, 1 << 0,
				  &show_ops, show);
	return show->stream ? 0 : -errno;
}

static void show_on_broken(struct output *output, int code)
{
	struct show *show = output->owner;

	/* As kring log | head has it: no news to anybody. */
	if (code != -EPIPE)
		snprintf(show->err->text, sizeof(show->err->text), "stdout: %s", strerror(-code));
	kring_reset(show->stream, ECANCELED, show->args->name, "nobody reads it");
	show_end(show, code);
}

int show_text(const struct show_args *args, struct kring_error *err)
{
	struct show show = { .args = args, .err = err };
	int code;

	signal(SIGPIPE, SIG_IGN);
	if (client_open(&show.client, args->client, err))
		return TOOL_FAILED;
	show.output.escape = true;
	show.output.broken = show_on_broken;
	show.output.owner = &show;
	code = show_open(&show);
	if (!code)
		code = output_start(&show.output, client_loop(show.client), STDOUT_FILENO,
				    show.stream, 0);
	if (code) {
		snprintf(err->text, sizeof(err->text), "%s: %s", args->name, strerror(-code));
	} else {
		code = client_run(show.client, err);
		if (!code)
			code = show.code;
	}
	client_close(show.client);
	output_close(&show.output);
	return code ? TOOL_FAILED : TOOL_DONE;
}
