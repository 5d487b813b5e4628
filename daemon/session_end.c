// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How a session is made to end: signals, and what time it has.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>

#include <kring/barrier.h>

#include "cgroup.h"
#include "clock.h"
#include "log.h"
#include "session.h"
#include "terminal.h"

#define HANGUP_NS	(SESSION_HANGUP * 1000000000ull)

static struct loop *loop_of(const struct session *session)
{
	return &session->agent->loop;
}

pid_t session_pid(const struct session *session)
{
	const struct session_record *record = session->record;

	return kring_load_acquire(&record->exit.recorded) ? 0 : kring_load_acquire(&record->pid);
}

int session_signal(struct session *session, int signal)
{
	pid_t pid = session_pid(session), foreground;

	if (!pid)
		return -ESRCH;
	if (session->record->tty && session->outputs[0].fd >= 0) {
		foreground = terminal_foreground(session->outputs[0].fd);
		if (foreground && foreground != pid)
			kill(-foreground, signal);
	}
	if (!kill(-pid, signal))
		return 0;
	/* It has not made its process group yet. */
	return errno == ESRCH && !kill(pid, signal) ? 0 : -errno;
}

void session_kill(struct session *session)
{
	session_signal(session, SIGKILL);
	if (session->record->cgroup)
		cgroup_kill(session->record->number);
}

void session_terminate(struct session *session)
{
	session_signal(session, SIGTERM);
	/* Or it would not notice. */
	session_signal(session, SIGCONT);
}

static void session_timed_out(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, timeout);

	if (session_released(session) || result || session->exited)
		return;
	if (session->record->exit.timed_out) {
		session_kill(session);
		return;
	}
	log_debug("session %" PRIu64 ": its time is over", session->record->number);
	session_limit(session, session->record->kill_after);
	session->record->exit.timed_out = true;
	session_terminate(session);
}

void session_limit(struct session *session, uint64_t nanoseconds)
{
	session->record->deadline = clock_now(CLOCK_MONOTONIC) + nanoseconds;
	loop_timeout(loop_of(session), &session->timeout, nanoseconds);
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

void session_end(struct session *session)
{
	session_signal(session, SIGHUP);
	session_signal(session, SIGCONT);
	if (!session->exited && !session->hangup.busy)
		loop_timeout(loop_of(session), &session->hangup, HANGUP_NS);
}

void session_hang_up(struct session *session)
{
	unsigned int i;

	if (session->record->hung_up)
		return;
	session->record->hung_up = true;
	for (i = 0; i < 2; i++)
		output_log_keep(&session->outputs[i].log, 0);
	log_debug("session %" PRIu64 ": hung up", session->record->number);
	session_end(session);
	input_close(&session->input);
	for (i = 0; i < 2; i++)
		output_pump(&session->outputs[i]);
	session_update(session);
}

static void session_grace_over(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, grace);

	if (session_released(session) || result || !session->orphan)
		return;
	log_info("session %" PRIu64 ": hung up, as nobody has attached", session->record->number);
	session_hang_up(session);
}

void session_end_init(struct session *session)
{
	session->timeout.done = session_timed_out;
	session->hangup.done = session_hangup_over;
	session->grace.done = session_grace_over;
}
