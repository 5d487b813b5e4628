// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What becomes of streams in a forked child. Their other ends are the parent's; those that are
 * to be kept wait whether somebody comes for them.
 */
#include <errno.h>
#include <stdlib.h>

#include "fork_policy.h"
#include "log.h"
#include "session_stream.h"
#include "sessions.h"

/* One that is not to be kept, or NULL. */
static struct kring_stream *find_due(struct kring_mux *mux)
{
	struct kring_stream *stream = NULL;

	do {
		stream = kring_mux_next(mux, stream);
	} while (stream && kring_stream_on_fork(stream) == KRING__FORK_POLICY__KEEP);
	return stream;
}

static struct session *find_session(struct agent *agent, const struct kring_stream *stream)
{
	struct session *session = NULL;

	do {
		session = sessions_after(agent, session ? session->record->number : 0);
	} while (session && session->stream != stream);
	return session;
}

/* What belongs to a stream that ends, ends as well: connections that a listener has accepted. */
static void mark_children(struct kring_mux *mux, uint32_t parent)
{
	struct kring_stream *stream = NULL;
	struct kring_resume resume;

	while ((stream = kring_mux_next(mux, stream))) {
		kring_stream_describe(stream, &resume);
		if (resume.parent == parent)
			kring_stream_set_on_fork(stream, KRING__FORK_POLICY__KILL);
	}
}

static void end_stream(struct agent *agent, struct kring_stream *stream)
{
	size_t len;
	void *error = kring_pack_error(ECANCELED, "fork", "this is a forked child of the guest",
				       &len);

	mark_children(agent->mux, kring_stream_number(stream));
	kring_stream_fail(stream, error, error ? len : 0);
	free(error);
}

/* Ending one may end others, so each search begins anew. */
void fork_policy_apply(struct agent *agent)
{
	struct kring_stream *stream;
	struct session *session;
	bool detach;

	while ((stream = find_due(agent->mux))) {
		detach = kring_stream_on_fork(stream) == KRING__FORK_POLICY__DETACH;
		session = detach ? find_session(agent, stream) : NULL;
		log_debug("fork: stream %u is %s", kring_stream_number(stream),
			  session ? "detached" : "ended");
		kring_stream_set_on_fork(stream, KRING__FORK_POLICY__KEEP);
		if (session)
			session_detach(session);
		else
			end_stream(agent, stream);
	}
}
