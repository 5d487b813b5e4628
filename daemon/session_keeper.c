// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A session and its keeper.
 *
 * Two things tell that the program has ended: the end of a pipe that the keeper has closed,
 * and, where it was killed itself, the end of the keeper. In the second case nobody knows
 * how the program ends. It goes on while there is an agent, which has the other end of its
 * files; and that it has ended is told by a pidfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "clock.h"
#include "log.h"
#include "process.h"
#include "session_keeper.h"
#include "store.h"

static void wait_for_exit(struct session *session)
{
	loop_poll(&session->agent->loop, &session->over_op, session->over, POLLIN);
}

void session_keeper_close(struct session *session)
{
	if (session->over < 0)
		return;
	loop_cancel(&session->agent->loop, &session->over_op);
	close(session->over);
	session->over = -1;
}

static bool exit_is_recorded(const struct session *session)
{
	return kring_load_acquire(&session->record->exit.recorded);
}

static void over_ready(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, over_op);

	if (session_released(session) || session->over < 0)
		return;
	if (exit_is_recorded(session)) {
		session_keeper_close(session);
		session_exited(session);
	} else if (result < 0) {
		wait_for_exit(session);
	}
	/* Else it was killed, and keeper_ended() comes. */
}

static void nobody_knows(struct session *session)
{
	log_warning("session %" PRIu64 " has ended, nobody knows how: its keeper was killed",
		    session->record->number);
	session_ended(&session->child, -1, NULL);
}

static void program_ended(struct child *child, int status, const struct rusage *usage)
{
	struct session *session = container_of(child, struct session, child);

	(void)status;
	(void)usage;
	if (!session_released(session))
		nobody_knows(session);
}

void session_keeper_lost(struct session *session)
{
	const struct session_record *record = session->record;
	pid_t pid = session_pid(session);
	int pidfd = -ESRCH;

	session->kept = false;

	/* It has begun by the time at which it was known to run, if that was known. */
	if (pid)
		pidfd = process_open(pid, record->forked,
				     record->runs ? record->runs : clock_now(CLOCK_BOOTTIME));
	if (pidfd < 0)
		nobody_knows(session);
	else
		child_watch_foreign(&session->child, &session->agent->loop, pid, pidfd,
				    program_ended);
}

static void keeper_ended(struct child *child, int status, const struct rusage *usage)
{
	struct session *session = container_of(child, struct session, child);

	(void)status;
	(void)usage;
	if (session_released(session) || session->exited)
		return;
	session_keeper_close(session);
	if (exit_is_recorded(session)) {
		session_exited(session);
		return;
	}
	log_warning("session %" PRIu64 ": its keeper was killed; it will not outlive the agent",
		    session->record->number);
	session_keeper_lost(session);
}

int session_keeper_prepare(struct session *session, struct keeper *keeper, struct spawn *spawn,
			   struct failure *failure)
{
	struct session_record *record = session->record;
	struct stat st;

	if (!store_is_kept())
		return 0;
	if (pipe2(keeper->over, O_CLOEXEC) || fstat(keeper->over[0], &st))
		return failure_errno(failure, errno, "files", "pipe");
	session->over = keeper->over[0];
	session->kept = true;
	record->over_inode = st.st_ino;
	keeper->record = record;
	keeper->number = record->number;
	keeper->life = store_life();
	keeper->input = record->tty ? -1 : session->input.fd;
	keeper->outputs[0] = session->outputs[0].fd;
	keeper->outputs[1] = session->outputs[1].fd;
	keeper->relay[0] = session->outputs[0].relay[0];
	keeper->relay[1] = session->outputs[0].relay[1];
	spawn->keeper = keeper;
	return 0;
}

int session_keeper_watch(struct session *session, pid_t pid)
{
	int code = child_watch(&session->child, &session->agent->loop, pid, keeper_ended);

	if (code)
		return code;
	session->over_op.done = over_ready;
	wait_for_exit(session);
	return 0;
}

/* Bytes in a pipe. */
static size_t count_bytes(int fd)
{
	int bytes = 0;

	return fd >= 0 && !ioctl(fd, FIONREAD, &bytes) && bytes > 0 ? bytes : 0;
}

void session_keeper_adopt(struct session *session, struct keeper *keeper, int pidfd)
{
	struct session_record *record = session->record;
	pid_t pid = record->keeper & UINT32_MAX;

	session->kept = true;
	session->over = keeper->over[0];
	session->input.fd = keeper->input;
	session->outputs[0].fd = keeper->outputs[0];
	session->outputs[1].fd = keeper->outputs[1];
	session->outputs[0].relay[0] = keeper->relay[0];
	session->outputs[0].relay[1] = keeper->relay[1];
	session->outputs[0].relayed = count_bytes(keeper->relay[0]);
	if (record->tty && record->input && keeper->outputs[0] >= 0)
		session->input.fd = fcntl(keeper->outputs[0], F_DUPFD_CLOEXEC, 3);
	child_watch_foreign(&session->child, &session->agent->loop, pid, pidfd, keeper_ended);
	session->over_op.done = over_ready;
	wait_for_exit(session);
	/* The agent before may have been killed before it could. */
	session_keeper_wake(session);
}

void session_keeper_wake(struct session *session)
{
	if (session->kept && session->child.pid)
		pidfd_send_signal(session->child.pidfd, KEEPER_SIGNAL, NULL, 0);
}

void session_keeper_dismiss(struct session *session)
{
	if (session->kept && session->child.pid)
		pidfd_send_signal(session->child.pidfd, SIGKILL, NULL, 0);
}
