// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service attach: take up a detached session.
 */
#include <errno.h>
#include <inttypes.h>

#include "services.h"
#include "session_stream.h"
#include "sessions.h"

static void attach_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	const Kring__Attach *attach = request;
	struct failure failure;
	struct session *session = sessions_find(agent, attach->session, &failure);

	if (session && (session->stream || session->told ||
			!(session->record->durable || session->orphan)))
		failure_set(&failure, EBUSY, "session", "%" PRIu64 ": a host has it already",
			    session->record->number);
	else if (session) {
		session_attach(session, stream, attach);
		return;
	}
	kring_reset(stream, failure.number, failure.step, "%s", failure.text);
}

const struct service service_attach = {
	.name = "attach",
	.request = &kring__attach__descriptor,
	.open = attach_open,
};
