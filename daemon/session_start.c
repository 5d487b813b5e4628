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

#include "cgroup.h"
#include "log.h"
#include "session_start.h"
#include "session_stream.h"
#include "terminal.h"

/* What is shown of argv. */
#define ARGUMENTS_MAX	512

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
	session->tty = true;
	session->outputs[0].fd = master;
	/* Whoever attaches may type, whether or not this host does. */
	session->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (session->input.fd < 0)
		return failure_errno(failure, errno, "tty", "open one");
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

/* For whoever lists sessions. Without memory they see none. */
static void keep_arguments(struct session *session, char *const *argv)
{
	char text[ARGUMENTS_MAX];
	size_t len = 0, piece;

	for (; *argv && len < sizeof(text); argv++) {
		piece = strnlen(*argv, sizeof(text) - len - 1);
		memcpy(text + len, *argv, piece);
		len += piece;
		text[len++] = '\0';
	}
	session->arguments = malloc(len);
	if (session->arguments) {
		memcpy(session->arguments, text, len);
		session->arguments_len = len;
	}
}

static void session_runs(struct session *session)
{
	unsigned int i;

	if (session->time_limit && session->pid)
		loop_timeout(&session->agent->loop, &session->timeout, session->time_limit);
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
	log_debug("session %" PRIu64 ": %s: %s", session->number, failure.step, failure.text);
	if (session->stream)
		kring_reset(session->stream, failure.number, failure.step, "%s", failure.text);
	session->stream = NULL;
	session_release(session);
}

int session_start(struct session *session, struct spawn *spawn, const Kring__Exec *exec,
		  struct failure *failure)
{
	struct loop *loop = &session->agent->loop;
	pid_t pid;
	int code;

	session->detach = exec->detach;
	session->send_input = exec->stdin;
	session->log_size = exec->log_size;
	session->time_limit = exec->timeout;
	session->kill_after = exec->kill_after ? exec->kill_after : KILL_AFTER_NS;
	session->exit.started = session_clock();
	keep_arguments(session, spawn->argv);

	code = open_files(session, spawn, exec, failure);
	if (code)
		goto close_files;
	spawn->cgroup = cgroup_create(session->number);
	session->cgroup = spawn->cgroup >= 0;
	if (!session->cgroup || cgroup_oom_killed(session->number) < 0)
		session->oom_before = cgroup_oom_kills();
	pid = spawn_start(spawn, &session->report, failure);
	code = pid < 0 ? pid : 0;
	if (spawn->cgroup >= 0)
		close(spawn->cgroup);
	if (code)
		goto close_files;
	code = child_watch(&session->child, loop, pid, session_ended);
	if (code) {
		failure_errno(failure, -code, "fork", "pidfd");
		goto close_files;
	}
	session->pid = pid;
	session->start.done = session_reported;
	loop_poll(loop, &session->start, session->report, POLLIN);
close_files:
	close_files(spawn);
	return code;
}
