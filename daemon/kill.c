// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service kill: signal a session's process group.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "services.h"
#include "sessions.h"

static int kill_session(struct agent *agent, const Kring__Kill *kill, struct failure *failure)
{
	struct session *session;
	int code;

	session = sessions_find(agent, kill->session, failure);
	if (!session)
		return -failure->number;
	if (!session_pid(session))
		return failure_set(failure, ESRCH, "session", "%" PRIu64 ": it has ended",
				   session->record->number);
	if (kill->signal < 0 || kill->signal >= NSIG)
		return failure_set(failure, EINVAL, "signal", "%d: there is none",
				   kill->signal);
	code = session_signal(session, kill->signal);
	if (code)
		return failure_set(failure, -code, "kill", "session %" PRIu64 ": %s",
				   session->record->number, strerror(-code));
	return 0;
}

static void kill_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct failure failure;

	if (kill_session(agent, request, &failure))
		kring_reset(stream, failure.number, failure.step, "%s", failure.text);
	else if (kring_accept(stream, NULL, 0))
		kring_reset(stream, ENOMEM, "accept", "%s", strerror(ENOMEM));
	else
		kring_close(stream, NULL);
}

const struct service service_kill = {
	.name = "kill",
	.request = &kring__kill__descriptor,
	.open = kill_open,
};
