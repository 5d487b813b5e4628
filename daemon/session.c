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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "log.h"
#include "session_stream.h"
#include "sessions.h"
#include "terminal.h"

/* From SIGHUP to SIGKILL. */
#define HANGUP_NS	2000000000ull

static struct loop *loop_of(const struct session *session)
{
	return &session->agent->loop;
}

uint64_t session_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/*
 * Signals
 */

int session_signal(struct session *session, int signal)
{
	pid_t foreground;

	if (!session->pid)
		return -ESRCH;
	if (session->tty && session->outputs[0].fd >= 0) {
		foreground = terminal_foreground(session->outputs[0].fd);
		if (foreground && foreground != session->pid)
			kill(-foreground, signal);
	}
	if (!kill(-session->pid, signal))
		return 0;
	/* It has not made its process group yet. */
	return errno == ESRCH && !kill(session->pid, signal) ? 0 : -errno;
}

/* Nothing of it is to survive, as far as that can be seen to. */
static void session_kill(struct session *session)
{
	session_signal(session, SIGKILL);
	if (session->cgroup)
		cgroup_kill(session->number);
}

static void session_timed_out(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, timeout);

	if (session_released(session) || result || !session->pid)
		return;
	if (session->exit.timed_out) {
		session_kill(session);
		return;
	}
	session->exit.timed_out = true;
	log_debug("session %" PRIu64 ": its time is over", session->number);
	session_signal(session, SIGTERM);
	/* Or it would not notice. */
	session_signal(session, SIGCONT);
	loop_timeout(loop_of(session), op, session->kill_after);
}

static void session_hangup_over(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, hangup);

	(void)result;
	if (session_released(session))
		return;
	session_kill(session);
	session_update(session);
}

void session_hang_up(struct session *session)
{
	unsigned int i;

	if (session->hung_up)
		return;
	session->hung_up = true;
	for (i = 0; i < 2; i++) {
		session->outputs[i].log.max = 0;
		output_log_free(&session->outputs[i].log);
	}
	log_debug("session %" PRIu64 ": hung up", session->number);
	session_signal(session, SIGHUP);
	session_signal(session, SIGCONT);
	if (session->pid)
		loop_timeout(loop_of(session), &session->hangup, HANGUP_NS);
	input_close(&session->input);
	for (i = 0; i < 2; i++)
		output_pump(&session->outputs[i]);
	session_update(session);
}

/*
 * The end
 */

static uint64_t nanoseconds(const struct timeval *time)
{
	return time->tv_sec * 1000000000ull + time->tv_usec * 1000ull;
}

static bool was_oom_killed(const struct session *session, int status)
{
	int killed = session->cgroup ? cgroup_oom_killed(session->number) : -ENOENT;

	if (killed >= 0)
		return killed;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || session->hung_up ||
	    session->exit.timed_out)
		return false;
	return cgroup_oom_kills() > session->oom_before;
}

void session_ended(struct child *child, int status, const struct rusage *usage)
{
	struct session *session = container_of(child, struct session, child);
	struct session_exit *exit = &session->exit;
	unsigned int i;

	session->pid = 0;
	if (session_released(session))
		return;
	session->exited = true;
	exit->status = status;
	exit->ended = session_clock();
	if (usage) {
		exit->user_time = nanoseconds(&usage->ru_utime);
		exit->system_time = nanoseconds(&usage->ru_stime);
		exit->max_rss = usage->ru_maxrss * 1024ull;
	}
	if (status != -1)
		exit->oom_killed = was_oom_killed(session, status);
	log_debug("session %" PRIu64 ": ended, status %#x", session->number, status);
	loop_cancel(loop_of(session), &session->timeout);
	input_close(&session->input);
	for (i = 0; i < 2; i++)
		output_finish(&session->outputs[i]);
	session_update(session);
}

void session_exit_message(const struct session *session, Kring__ExecExit *message)
{
	const struct session_exit *exit = &session->exit;

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
	message->started = exit->started;
	message->ended = exit->ended;
}

static void session_settle(struct loop_job *job)
{
	struct session *session = container_of(job, struct session, settle);
	unsigned int i;

	if (session_released(session) || session->report >= 0 || !session->exited)
		return;
	for (i = 0; i < 2; i++)
		if (!output_flushed(&session->outputs[i]))
			return;
	if (session->stream) {
		/* One that could not be told is kept, where it can be. */
		if (session_tell_exit(session) && session->durable)
			return;
	} else if (session->durable && !session->hung_up) {
		return;
	} else if (session->hangup.busy && session->cgroup && cgroup_populated(session->number)) {
		/* What else is in it has its time, too. */
		return;
	}
	session_release(session);
}

void session_update(struct session *session)
{
	loop_queue(loop_of(session), &session->settle);
}

bool session_released(struct session *session)
{
	if (!session->released)
		return false;
	if (session->child.op.busy || session->start.busy || session->timeout.busy ||
	    session->hangup.busy || session->input.op.busy || session->outputs[0].op.busy ||
	    session->outputs[1].op.busy)
		return true;
	loop_unqueue(loop_of(session), &session->settle);
	free(session);
	return true;
}

void session_release(struct session *session)
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
	input_close(&session->input);
	output_free(&session->outputs[0]);
	output_free(&session->outputs[1]);
	if (session->cgroup)
		cgroup_remove(session->number);
	free(session->name);
	free(session->arguments);
	session->name = NULL;
	session->arguments = NULL;
	/* Freed from there: who calls this may still look at it. */
	loop_queue(loop, &session->settle);
}

/*
 * The beginning
 */

struct session *session_new(struct agent *agent, uint64_t number)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->agent = agent;
	session->number = number;
	session->report = -1;
	session->timeout.done = session_timed_out;
	session->hangup.done = session_hangup_over;
	session->settle.run = session_settle;
	input_init(&session->input, session);
	output_init(&session->outputs[0], session, 0);
	output_init(&session->outputs[1], session, 1);
	return session;
}
