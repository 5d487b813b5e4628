// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service ps: list sessions, a message each. Where the host does not take them as fast, it
 * goes on behind the last one that was sent, whatever has come and gone in between.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services.h"
#include "sessions.h"

#define ARGUMENTS_MAX	64

/**
 * struct ps - a list under way
 * @agent: agent
 * @last: number of the last session that was sent
 */
struct ps {
	struct agent *agent;
	uint64_t last;
};

static int send_session(struct kring_stream *stream, const struct session *session)
{
	ProtobufCBinaryData arguments[ARGUMENTS_MAX];
	Kring__Session message = KRING__SESSION__INIT;
	Kring__ExecExit result = KRING__EXEC_EXIT__INIT;
	const struct session_record *record = session->record;
	const char *at = record->arguments, *end = at + record->arguments_len;
	unsigned int i;

	message.session = record->number;
	message.name = (char *)record->name;
	message.pid = session_pid(session);
	message.argv = arguments;
	for (; at < end && message.n_argv < ARGUMENTS_MAX; message.n_argv++) {
		arguments[message.n_argv].data = (uint8_t *)at;
		arguments[message.n_argv].len = strlen(at);
		at += strlen(at) + 1;
	}
	message.started = record->started;
	message.attached = !!session->stream;
	message.tty = record->tty;
	for (i = 0; i < 2; i++)
		message.logged += record->outputs[i].end -
				  output_log_start(&session->outputs[i].log);
	if (session->exited) {
		session_exit_message(session, &result);
		message.exit = &result;
	}
	return kring_control(stream, &message.base);
}

static void ps_end(struct kring_stream *stream, struct ps *ps, int code)
{
	if (code)
		kring_reset(stream, -code, "ps", "%s", strerror(-code));
	else
		kring_close(stream, NULL);
	free(ps);
}

static void ps_go_on(struct kring_stream *stream, struct ps *ps)
{
	const struct session *session;
	int code;

	while ((session = sessions_after(ps->agent, ps->last))) {
		code = send_session(stream, session);
		if (code == -EAGAIN)
			return;
		if (code) {
			ps_end(stream, ps, code);
			return;
		}
		ps->last = session->record->number;
	}
	ps_end(stream, ps, 0);
}

static void ps_writable(struct kring_stream *stream, unsigned int channel)
{
	if (channel == KRING_CHANNEL_CONTROL)
		ps_go_on(stream, kring_stream_owner(stream));
}

static void ps_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	ps_end(stream, kring_stream_owner(stream), 0);
}

static void ps_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	free(kring_stream_owner(stream));
}

static const struct kring_stream_ops ps_ops = {
	.writable = ps_writable,
	.closed = ps_closed,
	.reset = ps_reset,
};

static void ps_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct ps *ps = calloc(1, sizeof(*ps));

	(void)request;
	if (!ps || kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "ps", "%s", strerror(ENOMEM));
		free(ps);
		return;
	}
	ps->agent = agent;
	kring_stream_set_ops(stream, &ps_ops, ps);
	ps_go_on(stream, ps);
}

const struct service service_ps = {
	.name = "ps",
	.open = ps_open,
};
