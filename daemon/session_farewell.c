// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The last that a session and its host say to each other. It is forgotten when the host is
 * known to have got it, and not before: until then host, link and kringd may go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "session_stream.h"

/* Between looks whether the host has got all output; and so many without any progress. */
#define PAUSE_NS	20000000ull
#define PAUSES		25

/**
 * struct farewell - a stream that was closed here, and that the host has not closed yet
 * @session: whose it was
 * @result: it has told how the program has ended
 * @sent: positions up to which it was given the outputs
 */
struct farewell {
	struct session *session;
	bool result;
	uint64_t sent[2];
};

/*
 * The host has closed the stream as well: it has got all that it was sent, so nobody else
 * needs it. Else somebody may come for it.
 */
static void farewell_over(void *owner, bool closed)
{
	struct farewell *farewell = owner;
	struct session *session = farewell->session;
	bool result = farewell->result;
	unsigned int i;

	session->closing--;
	if (closed && !session->released)
		for (i = 0; i < 2; i++)
			output_delivered(&session->outputs[i], farewell->sent[i]);
	free(farewell);
	if (session_released(session))
		return;
	if (result)
		session->told = false;
	if (result && closed)
		session_release(session);
	else
		session_update(session);
}

int session_say_farewell(struct session *session, const Kring__ExecExit *message, bool result)
{
	struct farewell *farewell = malloc(sizeof(*farewell));
	struct kring_stream *stream = session->stream;
	unsigned int i;

	session->stream = NULL;
	if (!farewell) {
		kring_reset(stream, ENOMEM, "session", "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	farewell->session = session;
	farewell->result = result;
	for (i = 0; i < 2; i++)
		farewell->sent[i] = session->outputs[i].sent;
	kring_stream_on_done(stream, farewell_over, farewell);
	if (kring_close(stream, &message->base)) {
		free(farewell);
		return -ENOMEM;
	}
	session->closing++;
	return 0;
}

/* Bytes of which it is not known that the host has got them. */
static size_t unacked(const struct session *session)
{
	return kring_stream_unacked(session->stream, 0) +
		kring_stream_unacked(session->stream, 1);
}

/*
 * A reset takes with it what is still on its way. So that waits while the host takes what
 * there is; of the last bytes it need not say that it has them.
 */
static bool is_delivered(struct session *session)
{
	size_t left = unacked(session);

	if (!left)
		return true;
	if (left != session->unacked)
		session->pauses = 0;
	session->unacked = left;
	return session->pauses >= PAUSES;
}

static void tell_nobody_knows(struct session *session)
{
	if (!is_delivered(session)) {
		if (!session->pause.busy) {
			session->pauses++;
			loop_timeout(&session->agent->loop, &session->pause, PAUSE_NS);
		}
		return;
	}
	kring_reset(session->stream, EIO, "exit", "session %" PRIu64
		    " has ended, nobody knows how: its keeper was killed",
		    session->record->number);
	session->stream = NULL;
	/* It was said, and there is nothing more to say to others. */
	session->record->durable = false;
}

void session_tell_exit(struct session *session)
{
	Kring__ExecExit result = KRING__EXEC_EXIT__INIT;

	if (session->record->exit.status == -1) {
		tell_nobody_knows(session);
		return;
	}
	session_exit_message(session, &result);
	session->told = !session_say_farewell(session, &result, true);
}
