// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring ps: list the guest's sessions.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "json.h"
#include "printable.h"
#include "signal_name.h"
#include "table.h"

static const char help_text[] =
	"Usage: kring ps [OPTION...]\n"
	"\n"
	"List the sessions of kring exec: those that run, and those that were detached and have\n"
	"ended, and whose end nobody has asked for with kring attach.\n"
	"\n"
	"  -j, --json              as a JSON array; sizes in bytes, times in nanoseconds\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* Bytes of messages: whatever the guest sends, the list has an end. */
#define SESSIONS_BYTES_MAX	(8 << 20)

/**
 * struct ps - list under way
 * @client: connection
 * @err: for the refusal
 * @sessions: what has come
 * @count: how many
 * @bytes: of their messages
 * @code: how it has ended
 */
struct ps {
	struct client *client;
	struct kring_error *err;
	struct Kring__Session **sessions;
	size_t count;
	size_t bytes;
	int code;
};

static void ps_end(struct ps *ps, int code)
{
	ps->code = code;
	client_stop(ps->client);
}

static void ps_on_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct ps *ps = kring_stream_owner(stream);
	Kring__Session *session;
	int code = -EBADMSG;
	void *larger;

	session = kring_unpack(&kring__session__descriptor, message, len);
	ps->bytes += len;
	if (!session || ps->bytes > SESSIONS_BYTES_MAX)
		goto fail;
	code = -ENOMEM;
	larger = reallocarray(ps->sessions, ps->count + 1, sizeof(session));
	if (!larger)
		goto fail;
	ps->sessions = larger;
	ps->sessions[ps->count++] = session;
	return;

fail:
	kring_unpack_free(session);
	snprintf(ps->err->text, sizeof(ps->err->text), "ps: %s",
		 code == -EBADMSG ? "the guest's agent has sent what makes no sense" :
		 strerror(-code));
	kring_reset(stream, -code, "ps", "not understood");
	ps_end(ps, code);
}

static void ps_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	kring_close(stream, NULL);
	ps_end(kring_stream_owner(stream), 0);
}

static void ps_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct ps *ps = kring_stream_owner(stream);

	ps_end(ps, client_error(ps->err, error, len));
}

static const struct kring_stream_ops ps_ops = {
	.control = ps_on_control,
	.closed = ps_on_closed,
	.reset = ps_on_reset,
};

static const char *ended_by(const Kring__ExecExit *exit)
{
	if (exit->timed_out)
		return "timeout";
	if (exit->oom_killed)
		return "oom";
	return exit->how_case == KRING__EXEC_EXIT__HOW_SIGNAL ? "signal" : "exit";
}

static void state_text(char cell[TABLE_CELL], const Kring__Session *s)
{
	if (!s->exit)
		snprintf(cell, TABLE_CELL, "%s", s->attached ? "attached" : "detached");
	else if (s->exit->how_case == KRING__EXEC_EXIT__HOW_SIGNAL)
		snprintf(cell, TABLE_CELL, "SIG%s", signal_name(s->exit->signal));
	else
		snprintf(cell, TABLE_CELL, "exit %d", s->exit->code);
}

/* What is needed to tell the arguments apart, and no more. */
static void print_argv(const Kring__Session *s)
{
	char text[256];
	size_t i;

	for (i = 0; i < s->n_argv && i < 32; i++) {
		printable(text, sizeof(text), s->argv[i].data, s->argv[i].len);
		printf(strpbrk(text, " \t'\"") || !*text ? "%s'%s'" : "%s%s", i ? " " : "", text);
	}
	puts(i < s->n_argv ? " ..." : "");
}

static void print_table(const struct ps *ps)
{
	char state[TABLE_CELL], age[TABLE_CELL], log[TABLE_CELL], name[64];
	int64_t now = table_now();
	const Kring__Session *s;
	size_t i;

	printf("%8s  %-12s %8s  %-10s %-3s %8s %10s  %s\n", "SESSION", "NAME", "PID", "STATE",
	       "TTY", "AGE", "LOG", "COMMAND");
	for (i = 0; i < ps->count; i++) {
		s = ps->sessions[i];
		printable(name, sizeof(name), s->name, strlen(s->name));
		state_text(state, s);
		table_duration(age, (uint64_t)now > s->started ? now - s->started : 0);
		table_bytes(log, s->logged);
		printf("%8" PRIu64 "  %-12s %8d  %-10s %-3s %8s %10s  ", s->session,
		       *name ? name : "-", s->pid, state, s->tty ? "yes" : "no", age, log);
		print_argv(s);
	}
}

static void print_exit(struct json *json, const Kring__ExecExit *exit)
{
	if (!exit) {
		json_null(json, "exit");
		return;
	}
	json_object(json, "exit");
	json_string(json, "by", ended_by(exit));
	if (exit->how_case == KRING__EXEC_EXIT__HOW_SIGNAL)
		json_signed(json, "signal", exit->signal);
	else
		json_signed(json, "code", exit->code);
	json_bool(json, "core_dumped", exit->core_dumped);
	json_unsigned(json, "user_time", exit->user_time);
	json_unsigned(json, "system_time", exit->system_time);
	json_unsigned(json, "max_rss", exit->max_rss);
	json_unsigned(json, "ended", exit->ended);
	json_object_end(json);
}

static void print_json(const struct ps *ps)
{
	struct json json = { .file = stdout };
	const Kring__Session *s;
	size_t i, j;

	json_array(&json, NULL);
	for (i = 0; i < ps->count; i++) {
		s = ps->sessions[i];
		json_object(&json, NULL);
		json_unsigned(&json, "session", s->session);
		json_string(&json, "name", s->name);
		json_signed(&json, "pid", s->pid);
		json_array(&json, "argv");
		for (j = 0; j < s->n_argv; j++)
			json_bytes(&json, NULL, s->argv[j].data, s->argv[j].len);
		json_array_end(&json);
		json_unsigned(&json, "started", s->started);
		json_bool(&json, "attached", s->attached);
		json_bool(&json, "tty", s->tty);
		json_unsigned(&json, "logged", s->logged);
		print_exit(&json, s->exit);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_end(&json);
}

static int ps_run(struct ps *ps, const struct client_args *args)
{
	struct kring_stream *stream;
	int code;

	if (client_open(&ps->client, args, ps->err))
		return TOOL_FAILED;
	stream = kring_open(client_mux(ps->client), "ps", NULL, 0, &ps_ops, ps);
	if (stream) {
		code = client_run(ps->client, ps->err);
		if (!code)
			code = ps->code;
	} else {
		code = -errno;
		snprintf(ps->err->text, sizeof(ps->err->text), "ps: %s", strerror(-code));
	}
	client_close(ps->client);
	return code ? TOOL_FAILED : TOOL_DONE;
}

int cmd_ps(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	struct ps ps = { .err = err };
	bool json = false;
	int opt, status;
	size_t i;

	while ((opt = getopt_long(argc, argv, ":jh", options, NULL)) >= 0) {
		status = client_option(&client, opt, optarg, err);
		if (status < 0)
			return TOOL_USAGE;
		if (status)
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
		return tool_usage(err, "ps: what is %.64s?", argv[optind]);

	status = ps_run(&ps, &client);
	if (!status && json)
		print_json(&ps);
	else if (!status)
		print_table(&ps);
	for (i = 0; i < ps.count; i++)
		kring_unpack_free(ps.sessions[i]);
	free(ps.sessions);
	return status;
}
