// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A session: from its start to its end.
 *
 * Whatever happens - the program ends, a pipe, a stream - is noted, and session_settle()
 * looks whether it is over now: so there is one place from where a session goes, and nobody
 * up the stack who still needs it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "cgroup.h"
#include "clock.h"
#include "log.h"
#include "session_keeper.h"
#include "session_stream.h"
#include "sessions.h"
#include "store.h"

/* Bytes of log where the host has not said how many. */
#define LOG_SIZE	65536

static struct loop *loop_of(const struct session *session)
{
	return &session->agent->loop;
}

/*
 * The end
 */

static bool was_oom_killed(const struct session *session)
{
	const struct session_record *record = session->record;
	int status = record->exit.status;
	int killed = record->cgroup ? cgroup_oom_killed(record->number) : -ENOENT;

	if (status == -1)
		return false;
	if (killed >= 0)
		return killed;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || record->hung_up ||
	    record->exit.timed_out)
		return false;
	return cgroup_oom_kills() > record->exit.oom_before;
}

void session_exited(struct session *session)
{
	struct session_exit *exit = &session->record->exit;
	unsigned int i;

	session->exited = true;
	if (was_oom_killed(session))
		exit->oom_killed = true;
	log_debug("session %" PRIu64 ": ended, status %#x", session->record->number,
		  (unsigned int)exit->status);
	loop_cancel(loop_of(session), &session->timeout);
	input_close(&session->input);
	for (i = 0; i < 2; i++)
		output_finish(&session->outputs[i]);
	session_update(session);
}

void session_ended(struct child *child, int status, const struct rusage *usage)
{
	struct session *session = container_of(child, struct session, child);
	struct session_exit *exit = &session->record->exit;

	exit->status = status;
	exit->ended = clock_now(CLOCK_REALTIME);
	if (usage)
		session_exit_usage(exit, usage);
	kring_store_release(&exit->recorded, 1);
	if (!session_released(session))
		session_exited(session);
}

void session_exit_message(const struct session *session, Kring__ExecExit *message)
{
	const struct session_exit *exit = &session->record->exit;

	if (exit->status != -1 && WIFSIGNALED(exit->status)) {
		message->how_case = KRING__EXEC_EXIT__HOW_SIGNAL;
		message->signal = WTERMSIG(exit->status);
		message->core_dumped = WCOREDUMP(exit->status);
	} else {
		message->how_case = KRING__EXEC_EXIT__HOW_CODE;
		message->code = exit->status == -1 ? 255 : WEXITSTATUS(exit->status);
	}
	message->oom_killed = exit->oom_killed;
	message->timed_out = exit->timed_out;
	message->user_time = exit->user_time;
	message->system_time = exit->system_time;
	message->max_rss = exit->max_rss;
	message->started = session->record->started;
	message->ended = exit->ended;
}

static void session_settle(struct loop_job *job)
{
	struct session *session = container_of(job, struct session, settle);
	const struct session_record *record = session->record;
	unsigned int i;

	if (session_released(session) || session->report >= 0 || !session->exited)
		return;
	for (i = 0; i < 2; i++)
		if (!output_flushed(&session->outputs[i]))
			return;
	if (session->stream)
		session_tell_exit(session);
	if (session->stream || session->told)
		return;
	/* One that could not be told is kept, where it can be. */
	if ((record->durable || session->orphan) && !record->hung_up)
		return;
	/* What else is in it has its time, too. */
	if (session->hangup.busy && record->cgroup && cgroup_populated(record->number))
		return;
	session_release(session);
}

static void session_pause_over(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, pause);

	if (!session_released(session) && !result)
		session_update(session);
}

void session_update(struct session *session)
{
	loop_queue(loop_of(session), &session->settle);
}

static bool is_busy(const struct session *session)
{
	return session->child.op.busy || session->over_op.busy || session->start.busy ||
		session->timeout.busy || session->hangup.busy || session->grace.busy ||
		session->pause.busy || session->input.op.busy || session->outputs[0].op.busy ||
		session->outputs[1].op.busy || session->closing;
}

bool session_released(struct session *session)
{
	if (!session->released)
		return false;
	if (is_busy(session))
		return true;
	loop_unqueue(loop_of(session), &session->settle);
	if (!session->left)
		store_remove(session->record);
	free(session);
	return true;
}

/* Nothing of it is this process's any more. */
static void let_go(struct session *session)
{
	struct sessions *sessions = session->agent->sessions;
	struct loop *loop = loop_of(session);

	TAILQ_REMOVE(&sessions->list, session, list);
	sessions->count--;
	session->released = true;
	if (session->stream)
		kring_reset(session->stream, EPIPE, "session", "the agent ends");
	session->stream = NULL;
	if (session->report >= 0) {
		loop_cancel(loop, &session->start);
		close(session->report);
	}
	loop_cancel(loop, &session->timeout);
	loop_cancel(loop, &session->hangup);
	loop_cancel(loop, &session->grace);
	loop_cancel(loop, &session->pause);
	session_keeper_close(session);
	input_close(&session->input);
	output_free(&session->outputs[0]);
	output_free(&session->outputs[1]);
	/* Freed from there: who calls this may still look at it. */
	loop_queue(loop, &session->settle);
}

void session_release(struct session *session)
{
	/* From now on another agent would just clear it away. */
	kring_store_release(&session->record->state, SESSION_OVER);
	let_go(session);
	session_keeper_dismiss(session);
	output_log_free(&session->outputs[0].log);
	output_log_free(&session->outputs[1].log);
	if (session->record->cgroup)
		cgroup_remove(session->record->number);
}

void session_leave(struct session *session)
{
	session->left = true;
	child_abandon(&session->child);
	let_go(session);
}

void session_keep_log(struct session *session)
{
	const struct session_record *record = session->record;
	unsigned int i;

	for (i = 0; i < 2; i++)
		output_log_keep(&session->outputs[i].log,
				record->log_size ? record->log_size : LOG_SIZE);
}

void session_input_closed(struct session *session)
{
	if (session->left)
		return;
	kring_store_release(&session->record->input, false);
	session_keeper_wake(session);
}

/*
 * The beginning
 */

struct session *session_new(struct agent *agent, struct session_record *record)
{
	struct session *session = calloc(1, sizeof(*session));
	unsigned int i;

	if (!session)
		return NULL;
	session->agent = agent;
	session->record = record;
	session->over = -1;
	session->report = -1;
	session_end_init(session);
	session->pause.done = session_pause_over;
	session->settle.run = session_settle;
	input_init(&session->input, session);
	for (i = 0; i < 2; i++) {
		output_init(&session->outputs[i], session, i);
		store_init_log(record, i, &session->outputs[i].log, &record->outputs[i]);
	}
	return session;
}
