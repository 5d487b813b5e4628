// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The console of a session.
 *
 * Signals come through the loop. Where all that is typed goes to the guest as it is (a raw
 * terminal), ^C and its like are typed there, and a signal is meant for kring; else it is
 * meant for the program, and is passed on to its process group.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "console_signals.h"
#include "input.h"
#include "output.h"
#include "terminal.h"

/* ctrl-c */
#define INTERRUPT_KEY	3

/**
 * struct console - a session's
 * @args: what is wanted
 * @client: connection
 * @err: why it has failed
 * @stream: session, NULL: it is over
 * @signals: those that are caught
 * @input: stdin, to the guest
 * @output: stdout, from the guest, channel 0
 * @errors: stderr, from the guest, channel 1
 * @detach: source that leaves it, when all that was typed has gone out
 * @session: its number
 * @started: the agent has accepted
 * @resize_waits: a new size could not be sent yet
 * @waiting: bit mask of signals that could not be sent yet
 * @status: what to return
 * @keys: how far the detach keys were typed
 */
struct console {
	const struct console_args *args;
	struct client *client;
	struct kring_error *err;
	struct kring_stream *stream;
	struct console_signals signals;
	struct input input;
	struct output output;
	struct output errors;
	sd_event_source *detach;
	uint64_t session;
	bool started;
	bool resize_waits;
	uint64_t waiting;
	int status;
	struct detach_keys keys;
};

static void console_end(struct console *console, int status)
{
	console->status = status;
	console->stream = NULL;
	input_stop(&console->input);
	output_stop(&console->output);
	output_stop(&console->errors);
	client_stop(console->client);
}

/* The agent hangs the program up. */
static void console_abandon(struct console *console, int status, const char *why)
{
	if (console->stream)
		kring_reset(console->stream, ECANCELED, "console", "%s", why);
	console_end(console, status);
}

/*
 * To the agent
 */

static void console_send_waiting(struct console *console)
{
	Kring__ExecControl control = KRING__EXEC_CONTROL__INIT;
	Kring__Winsize size = KRING__WINSIZE__INIT;
	int number;

	while (console->stream && console->waiting) {
		number = __builtin_ctzll(console->waiting);
		control.what_case = KRING__EXEC_CONTROL__WHAT_SIGNAL;
		control.signal = number;
		if (kring_control(console->stream, &control.base))
			return;
		console->waiting &= ~(1ULL << number);
	}
	if (console->stream && console->resize_waits) {
		if (terminal_size(&size.rows, &size.columns)) {
			control.what_case = KRING__EXEC_CONTROL__WHAT_RESIZE;
			control.resize = &size;
			if (kring_control(console->stream, &control.base))
				return;
		}
		console->resize_waits = false;
	}
}

static int console_on_detach(sd_event_source *source, void *userdata)
{
	Kring__ExecControl control = KRING__EXEC_CONTROL__INIT;
	struct console *console = userdata;

	(void)source;
	control.what_case = KRING__EXEC_CONTROL__WHAT_DETACH;
	control.detach = true;
	/* Where there is no room the keys may be typed again. */
	if (console->stream && !kring_control(console->stream, &control.base))
		input_stop(&console->input);
	return 0;
}

/* What was typed before is to go out first, and it goes out on another channel. */
static void console_detach(void *owner)
{
	struct console *console = owner;

	sd_event_source_set_enabled(console->detach, SD_EVENT_ONESHOT);
}

static void console_on_signal(void *owner, int number)
{
	struct console *console = owner;

	if (!console->stream)
		return;
	if (number == SIGWINCH) {
		console->resize_waits = console->started;
		console_send_waiting(console);
		return;
	}
	if (!console->started || terminal_is_raw()) {
		console_abandon(console, TOOL_STATUS(CONSOLE_SIGNALLED + number),
				"kring was ended by a signal");
		return;
	}
	console->waiting |= 1ULL << number;
	console_send_waiting(console);
}

/* All that is typed goes to the guest, when it can: until then there is a way out. */
static void console_on_typed(void *owner, const char *bytes, size_t len)
{
	struct console *console = owner;
	size_t i;

	for (i = 0; i < len && console->stream && !client_connected(console->client); i++)
		if (bytes[i] == INTERRUPT_KEY)
			console_signals_interrupt(&console->signals,
						  client_loop(console->client));
}

static void console_on_give_up(void *owner)
{
	struct console *console = owner;

	terminal_restore();
	tool_notice("three times in a second: giving up, and hanging up the program");
	console_abandon(console, TOOL_STATUS(CONSOLE_SIGNALLED + SIGINT),
			"kring was ended by a signal");
}

/*
 * From the agent
 */

static int console_start(struct console *console, const Kring__ExecStarted *started)
{
	int code;

	if (!console->args->with_stdin)
		return 0;
	/* Of exec it was asked for. */
	if (!started->stdin && !strcmp(console->args->service, "attach")) {
		tool_notice("the session has no stdin");
		return 0;
	}
	if (started->tty && isatty(STDIN_FILENO)) {
		code = sd_event_add_defer(client_loop(console->client), &console->detach,
					  console_on_detach, console);
		if (code < 0)
			return code;
		sd_event_source_set_enabled(console->detach, SD_EVENT_OFF);
		sd_event_source_set_priority(console->detach, SD_EVENT_PRIORITY_IDLE);
		code = terminal_raw();
		if (code)
			return code;
		console->input.keys = &console->keys;
	}
	return input_start(&console->input, client_loop(console->client), console->stream);
}

static void console_on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct console *console = kring_stream_owner(stream);
	Kring__ExecStarted *started;
	int code;

	started = kring_unpack_accept(&kring__exec_started__descriptor, reply, len);
	if (!started) {
		snprintf(console->err->text, sizeof(console->err->text),
			 "the guest's agent has sent a reply that makes no sense");
		console_abandon(console, TOOL_FAILED, "the reply makes no sense");
		return;
	}
	console->started = true;
	console->session = started->session;
	if (started->dropped)
		tool_notice("%llu bytes of older output are lost: the log was full",
			    (unsigned long long)started->dropped);
	code = console->args->detach ? 0 : console_start(console, started);
	kring_unpack_free(started);
	if (code) {
		snprintf(console->err->text, sizeof(console->err->text), "stdin: %s",
			 strerror(-code));
		console_abandon(console, TOOL_FAILED, "stdin cannot be read");
	}
}

static void console_on_readable(struct kring_stream *stream, unsigned int channel)
{
	struct console *console = kring_stream_owner(stream);

	if (channel == 0)
		output_readable(&console->output);
	else if (channel == 1)
		output_readable(&console->errors);
}

static void console_on_writable(struct kring_stream *stream, unsigned int channel)
{
	struct console *console = kring_stream_owner(stream);

	if (channel == KRING_CHANNEL_CONTROL)
		console_send_waiting(console);
	else
		input_writable(&console->input);
}

static int console_exit(struct console *console, const Kring__ExecExit *exit)
{
	if (exit->how_case == KRING__EXEC_EXIT__HOW_DETACHED) {
		terminal_restore();
		if (console->args->detach)
			printf("%llu\n", (unsigned long long)console->session);
		else
			tool_notice("detached from session %llu",
				    (unsigned long long)console->session);
		return TOOL_DONE;
	}
	if (exit->oom_killed)
		tool_notice("the program was killed, as the guest has no more memory for it");
	if (exit->timed_out) {
		tool_notice("the program took longer than --timeout");
		return TOOL_STATUS(CONSOLE_TIMED_OUT);
	}
	if (exit->how_case == KRING__EXEC_EXIT__HOW_SIGNAL)
		return TOOL_STATUS(CONSOLE_SIGNALLED + (exit->signal & 0x7f));
	return TOOL_STATUS(exit->code & 0xff);
}

static void console_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct console *console = kring_stream_owner(stream);
	Kring__ExecExit *exit;
	int status = TOOL_FAILED;

	exit = kring_unpack_close(&kring__exec_exit__descriptor, result, len);
	if (exit)
		status = console_exit(console, exit);
	else
		snprintf(console->err->text, sizeof(console->err->text),
			 "the guest's agent has sent a result that makes no sense");
	kring_unpack_free(exit);
	kring_close(stream, NULL);
	console_end(console, status);
}

/* A shell says 127 where there is no such program, 126 where it is not one. */
static int console_refused(const void *error, size_t len)
{
	Kring__Error *e = kring_unpack(&kring__error__descriptor, error, len);
	int status = TOOL_FAILED;

	if (e && !strcmp(e->step, "exec"))
		status = TOOL_STATUS(e->number == ENOENT || e->number == ENOTDIR ?
				     CONSOLE_NOT_FOUND : CONSOLE_NOT_EXECUTED);
	kring_unpack_free(e);
	return status;
}

/* An agent that was killed may have left the program to the next one. */
static void console_hint(const struct console *console)
{
	size_t len = strlen(console->err->text);

	snprintf(console->err->text + len, sizeof(console->err->text) - len,
		 "; if the program goes on, \"kring attach %llu\" takes it up",
		 (unsigned long long)console->session);
}

static void console_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct console *console = kring_stream_owner(stream);

	if (client_error(console->err, error, len) == -ECONNRESET && console->started)
		console_hint(console);
	console_end(console, console->started ? TOOL_FAILED : console_refused(error, len));
}

static const struct kring_stream_ops console_ops = {
	.accepted = console_on_accepted,
	.readable = console_on_readable,
	.writable = console_on_writable,
	.closed = console_on_closed,
	.reset = console_on_reset,
};

/* Where nobody reads it any more, the program goes as one that wrote to that pipe would. */
static void console_on_broken(struct output *output, int code)
{
	struct console *console = output->owner;

	if (code == -EPIPE) {
		console_abandon(console, TOOL_STATUS(CONSOLE_SIGNALLED + SIGPIPE),
				"nobody reads the output");
		return;
	}
	snprintf(console->err->text, sizeof(console->err->text), "%s: %s",
		 output->fd == STDERR_FILENO ? "stderr" : "stdout", strerror(-code));
	console_abandon(console, TOOL_FAILED, "the output cannot be written");
}

static int console_open(struct console *console)
{
	sd_event *loop = client_loop(console->client);
	struct kring_open_args args = {
		.service = console->args->service,
		.request = console->args->request,
		.on_fork = console->args->on_fork,
		.channels = 1 << 0 | 1 << 1,
		.ops = &console_ops,
		.owner = console,
	};
	int code;

	console->stream = kring_open_with(client_mux(console->client), &args);
	if (!console->stream)
		return -errno;
	code = output_start(&console->output, loop, STDOUT_FILENO, console->stream, 0);
	if (!code)
		code = output_start(&console->errors, loop, STDERR_FILENO, console->stream, 1);
	return code;
}

static void console_close(struct console *console)
{
	terminal_restore();
	if (console->stream)
		console_abandon(console, TOOL_FAILED, "kring has failed");
	console_signals_close(&console->signals);
	sd_event_source_disable_unref(console->detach);
	input_close(&console->input);
	output_close(&console->output);
	output_close(&console->errors);
}

int console_run(const struct client_args *client_args, const struct console_args *args,
		struct kring_error *err)
{
	struct console console = {
		.args = args,
		.err = err,
		.keys = args->keys,
		.status = TOOL_FAILED,
	};
	int code;

	console.input.detach = console_detach;
	console.input.typed = console_on_typed;
	console.input.owner = &console;
	console.output.broken = console_on_broken;
	console.output.owner = &console;
	console.errors.broken = console_on_broken;
	console.errors.owner = &console;
	if (client_open(&console.client, client_args, err))
		return TOOL_FAILED;
	code = console_signals_open(&console.signals, client_loop(console.client),
				    console_on_signal, console_on_give_up, &console);
	if (!code)
		code = console_open(&console);
	if (code == -EMSGSIZE)
		snprintf(err->text, sizeof(err->text),
			 "the command and its environment are longer than %d bytes",
			 KRING_MESSAGE_MAX);
	else if (code)
		snprintf(err->text, sizeof(err->text), "%s: %s", args->service, strerror(-code));
	else
		client_run(console.client, err);
	console_close(&console);
	client_close(console.client);
	return console.status;
}
