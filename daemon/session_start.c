// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The start of a session: its pipes or its terminal, its cgroup, its process; and what
 * becomes of it when it is known whether the program runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "cgroup.h"
#include "clock.h"
#include "log.h"
#include "session_keeper.h"
#include "session_start.h"
#include "session_stream.h"
#include "store.h"
#include "terminal.h"

/* From SIGTERM to SIGKILL, when its time is over. */
#define KILL_AFTER_NS	5000000000ull

#define RETRY_NS	10000000ull

/* A pipe: the agent's end is non-blocking, the program's is as programs expect it. */
static int open_pipe(int *ours, int *theirs, bool we_read)
{
	int fds[2], code;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	if (fcntl(fds[we_read ? 0 : 1], F_SETFL, O_NONBLOCK)) {
		code = -errno;
		close(fds[0]);
		close(fds[1]);
		return code;
	}
	*ours = fds[we_read ? 0 : 1];
	*theirs = fds[we_read ? 1 : 0];
	return 0;
}

static void close_files(struct spawn *spawn)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (spawn->files[i] >= 0 && (!i || spawn->files[i] != spawn->files[i - 1]))
			close(spawn->files[i]);
	}
}

static int open_terminal(struct session *session, struct spawn *spawn, const Kring__Exec *exec,
			 struct failure *failure)
{
	int master, slave, code;

	code = terminal_open(exec->tty->rows, exec->tty->columns, &master, &slave);
	if (code)
		return failure_errno(failure, -code, "tty", "open one");
	spawn->tty = true;
	spawn->files[0] = slave;
	spawn->files[1] = slave;
	spawn->files[2] = slave;
	session->record->tty = true;
	session->outputs[0].fd = master;
	/* Whoever attaches may type, whether or not this host does. */
	session->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (session->input.fd < 0)
		return failure_errno(failure, errno, "tty", "open one");
	/* Without an agent that outlives this one, its log needs no such care. */
	if (store_is_kept() && pipe2(session->outputs[0].relay, O_CLOEXEC | O_NONBLOCK))
		return failure_errno(failure, errno, "tty", "pipe");
	return 0;
}

/* What was opened is closed by the caller, also on failure. */
static int open_files(struct session *session, struct spawn *spawn, const Kring__Exec *exec,
		      struct failure *failure)
{
	int code = 0, i;

	for (i = 0; i < 3; i++)
		spawn->files[i] = -1;
	if (exec->tty)
		return open_terminal(session, spawn, exec, failure);
	if (exec->stdin) {
		code = open_pipe(&session->input.fd, &spawn->files[0], false);
	} else {
		spawn->files[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (spawn->files[0] < 0)
			return failure_errno(failure, errno, "files", "/dev/null");
	}
	for (i = 0; i < 2 && !code; i++)
		code = open_pipe(&session->outputs[i].fd, &spawn->files[i + 1], true);
	return code ? failure_errno(failure, -code, "files", "pipe") : 0;
}

static void session_runs(struct session *session)
{
	struct session_record *record = session->record;
	unsigned int i;

	record->runs = clock_now(CLOCK_BOOTTIME);
	if (record->time_limit && !session->exited)
		session_limit(session, record->time_limit);
	/* It had no process group to be hung up. */
	if (record->hung_up)
		session_end(session);
	/* Before the host is told. */
	kring_store_release(&record->state, SESSION_RUNNING);
	if (session->stream && session_accept(session, 0, session->send_input))
		session_hang_up(session);
	for (i = 0; i < 2; i++)
		output_pump(&session->outputs[i]);
	session_update(session);
}

static void session_reported(struct loop_op *op, int result)
{
	struct session *session = container_of(op, struct session, start);
	struct loop *loop = &session->agent->loop;
	struct failure failure;
	int code;

	if (session_released(session))
		return;
	code = spawn_report(session->report, &failure);
	if (code == -EAGAIN) {
		if (result < 0)
			loop_timeout(loop, op, RETRY_NS);
		else
			loop_poll(loop, op, session->report, POLLIN);
		return;
	}
	close(session->report);
	session->report = -1;
	if (!code) {
		session_runs(session);
		return;
	}
	log_debug("session %" PRIu64 ": %s: %s", session->record->number, failure.step,
		  failure.text);
	if (session->stream)
		kring_reset(session->stream, failure.number, failure.step, "%s", failure.text);
	session->stream = NULL;
	session_release(session);
}

/* What is constant. Thereafter another agent would find it. */
static void fill_record(struct session *session, const struct spawn *spawn,
			const Kring__Exec *exec)
{
	struct session_record *record = session->record;

	session_record_arguments(record, spawn->argv);
	record->started = clock_now(CLOCK_REALTIME);
	record->forked = clock_now(CLOCK_BOOTTIME);
	record->time_limit = exec->timeout;
	record->kill_after = exec->kill_after ? exec->kill_after : KILL_AFTER_NS;
	record->log_size = exec->log_size;
	record->cgroup = spawn->cgroup >= 0;
	record->input = session->input.fd >= 0;
	if (!record->cgroup || cgroup_oom_killed(record->number) < 0)
		record->exit.oom_before = cgroup_oom_kills();
	session_record_seal(record);
	kring_store_release(&record->state, SESSION_STARTING);
}

static int start_process(struct session *session, struct spawn *spawn, struct failure *failure)
{
	struct loop *loop = &session->agent->loop;
	pid_t pid = spawn_start(spawn, &session->report, failure);
	int code;

	if (pid < 0)
		return pid;
	if (spawn->keeper) {
		code = session_keeper_watch(session, pid);
	} else {
		session->record->pid = pid;
		code = child_watch(&session->child, loop, pid, session_ended);
	}
	if (code)
		return failure_errno(failure, -code, "fork", "pidfd");
	session->start.done = session_reported;
	loop_poll(loop, &session->start, session->report, POLLIN);
	return 0;
}

int session_start(struct session *session, struct spawn *spawn, const Kring__Exec *exec,
		  struct failure *failure)
{
	struct keeper keeper = { .over = { -1, -1 } };
	int code;

	session->detach = exec->detach;
	session->send_input = exec->stdin;
	code = open_files(session, spawn, exec, failure);
	if (code)
		goto close_files;
	code = session_keeper_prepare(session, &keeper, spawn, failure);
	if (code)
		goto close_files;
	spawn->cgroup = cgroup_create(session->record->number);
	fill_record(session, spawn, exec);
	code = start_process(session, spawn, failure);
	if (spawn->cgroup >= 0)
		close(spawn->cgroup);
	if (keeper.over[1] >= 0)
		close(keeper.over[1]);
close_files:
	close_files(spawn);
	return code;
}
