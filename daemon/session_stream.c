// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a session and its host say to each other.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "log.h"
#include "session_stream.h"
#include "terminal.h"

static void pump(struct session *session)
{
	unsigned int i;

	input_pump(&session->input);
	for (i = 0; i < 2; i++)
		output_pump(&session->outputs[i]);
}

/*
 * The host has gone, or has nothing more to say, which is the same to a program: it will
 * take no output any more.
 */
static void host_gone(struct session *session)
{
	unsigned int i;

	session->stream = NULL;
	for (i = 0; i < 2; i++)
		output_detach(&session->outputs[i]);
	if (session->record->durable)
		pump(session);
	else
		session_hang_up(session);
	session_update(session);
}

static void on_readable(struct kring_stream *stream, unsigned int channel)
{
	struct session *session = kring_stream_owner(stream);

	if (!channel)
		input_pump(&session->input);
}

static void on_writable(struct kring_stream *stream, unsigned int channel)
{
	struct session *session = kring_stream_owner(stream);

	if (channel < 2)
		output_pump(&session->outputs[channel]);
}

static void on_control(struct kring_stream *stream, const void *bytes, size_t len)
{
	struct session *session = kring_stream_owner(stream);
	Kring__ExecControl *control = kring_unpack(&kring__exec_control__descriptor, bytes, len);

	if (!control) {
		kring_reset(stream, EBADMSG, "control", "a message that makes no sense");
		host_gone(session);
		return;
	}
	switch (control->what_case) {
	case KRING__EXEC_CONTROL__WHAT_SIGNAL:
		if (control->signal > 0 && control->signal < NSIG)
			session_signal(session, control->signal);
		break;
	case KRING__EXEC_CONTROL__WHAT_RESIZE:
		if (session->record->tty && session->outputs[0].fd >= 0)
			terminal_resize(session->outputs[0].fd, control->resize->rows,
					control->resize->columns);
		break;
	case KRING__EXEC_CONTROL__WHAT_DETACH:
		if (control->detach)
			session_detach(session);
		break;
	default:
		/* From a newer host. */
		break;
	}
	kring_unpack_free(control);
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct session *session = kring_stream_owner(stream);

	(void)result;
	(void)len;
	kring_close(stream, NULL);
	host_gone(session);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	host_gone(kring_stream_owner(stream));
}

static const struct kring_stream_ops stream_ops = {
	.readable = on_readable,
	.writable = on_writable,
	.control = on_control,
	.closed = on_closed,
	.reset = on_reset,
};

void session_set_stream(struct session *session, struct kring_stream *stream)
{
	session->stream = stream;
	kring_stream_set_ops(stream, &stream_ops, session);
}

int session_accept(struct session *session, uint64_t dropped, bool send_input)
{
	Kring__ExecStarted started = KRING__EXEC_STARTED__INIT;
	int code;

	started.session = session->record->number;
	started.pid = session_pid(session);
	started.dropped = dropped;
	started.tty = session->record->tty;
	started.stdin = session->input.fd >= 0;
	code = kring_accept(session->stream, &started.base, send_input ? 1 : 0);
	if (code) {
		kring_reset(session->stream, -code, "accept", "%s", strerror(-code));
		session->stream = NULL;
	} else if (session->detach) {
		session->detach = false;
		session_detach(session);
	}
	return code;
}

void session_attach(struct session *session, struct kring_stream *stream,
		    const Kring__Attach *request)
{
	uint64_t dropped = 0;
	unsigned int i;

	session_set_stream(session, stream);
	/* It has a host again, as before. */
	session->orphan = false;
	session->pauses = 0;
	loop_cancel(&session->agent->loop, &session->grace);
	for (i = 0; i < 2; i++)
		dropped += output_attach(&session->outputs[i], request->no_log);
	if (session->record->tty && request->tty && session->outputs[0].fd >= 0)
		terminal_resize(session->outputs[0].fd, request->tty->rows,
				request->tty->columns);
	if (session_accept(session, dropped, request->stdin))
		return;
	log_debug("session %" PRIu64 ": attached", session->record->number);
	pump(session);
	session_update(session);
}

void session_detach(struct session *session)
{
	Kring__ExecExit result = KRING__EXEC_EXIT__INIT;
	unsigned int i;

	/* It is not known yet whether it runs at all. */
	if (session->report >= 0) {
		session->detach = true;
		return;
	}
	log_debug("session %" PRIu64 ": detached", session->record->number);
	/* From now on it needs no host. */
	session_keep_log(session);
	session->record->durable = true;
	result.how_case = KRING__EXEC_EXIT__HOW_DETACHED;
	result.detached = true;
	session_say_farewell(session, &result, false);
	for (i = 0; i < 2; i++)
		output_detach(&session->outputs[i]);
	pump(session);
	session_update(session);
}
