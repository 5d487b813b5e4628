// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Processes that have to be waited for.
 *
 * Each child has a pidfd, so waiting for it needs no SIGCHLD, and nobody can take the wait
 * from somebody else. Orphans are the business of PID 1 alone. Where kringd is not PID 1 it
 * does not ask for them (PR_SET_CHILD_SUBREAPER): a daemon's orphans go to init as
 * everywhere, and they shall not have another parent only because they were started here.
 *
 * As PID 1 it gets SIGCHLD, and looks for any zombie. One of its own children is left to
 * that child's wait, and the search goes on when it is over.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reaper.h"

/* When the kernel had no memory to wait with. */
#define RETRY_NS	100000000ull

/* Orphans at a turn: who makes them without end shall not keep the agent from all else. */
#define ORPHANS		256

/**
 * struct reaper - the orphans
 * @fd: signalfd for SIGCHLD, -1: this is not PID 1
 * @loop: event loop
 * @op: waits for @fd
 * @turn: goes on with those that were left
 */
static struct reaper {
	int fd;
	struct loop *loop;
	struct loop_op op;
	struct loop_job turn;
} reaper = { .fd = -1 };

static LIST_HEAD(, child) children = LIST_HEAD_INITIALIZER(children);

static bool is_child(pid_t pid)
{
	const struct child *child;

	LIST_FOREACH(child, &children, list)
		if (child->pid == pid && !child->foreign)
			return true;
	return false;
}

static void reap_orphans(void)
{
	unsigned int budget;
	siginfo_t info;

	for (budget = ORPHANS; budget; budget--) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) && errno == EINTR)
			continue;
		if (!info.si_pid || is_child(info.si_pid))
			return;
		waitpid(info.si_pid, NULL, WNOHANG);
	}
	loop_queue(reaper.loop, &reaper.turn);
}

static void reaper_turn(struct loop_job *job)
{
	(void)job;
	reap_orphans();
}

static void child_forget(struct child *child)
{
	LIST_REMOVE(child, list);
	close(child->pidfd);
	child->pid = 0;
}

/* As wait4(2): 0: it has not ended, -1: it has, and somebody else is told how. */
static pid_t reap(const struct child *child, int *status, struct rusage *usage)
{
	struct pollfd pfd = { .fd = child->pidfd, .events = POLLIN };
	pid_t pid;

	if (child->foreign)
		return poll(&pfd, 1, 0) > 0 ? -1 : 0;
	do {
		pid = wait4(child->pid, status, WNOHANG, usage);
	} while (pid < 0 && errno == EINTR);
	return pid;
}

static void child_done(struct loop_op *op, int result)
{
	struct child *child = container_of(op, struct child, op);
	struct rusage usage;
	int status;
	pid_t pid;

	if (!child->pid) {
		child->ended(child, -1, NULL);
		return;
	}
	pid = reap(child, &status, &usage);
	if (!pid) {
		if (result < 0)
			loop_timeout(child->loop, &child->op, RETRY_NS);
		else
			loop_poll(child->loop, &child->op, child->pidfd, POLLIN);
		return;
	}
	child_forget(child);
	if (reaper.fd >= 0)
		reap_orphans();
	if (pid < 0)
		child->ended(child, -1, NULL);
	else
		child->ended(child, status, &usage);
}

static void watch(struct child *child, struct loop *loop, pid_t pid,
		  void (*ended)(struct child *child, int status, const struct rusage *usage))
{
	child->pid = pid;
	child->loop = loop;
	child->ended = ended;
	child->op.done = child_done;
	LIST_INSERT_HEAD(&children, child, list);
	loop_poll(loop, &child->op, child->pidfd, POLLIN);
}

int child_watch(struct child *child, struct loop *loop, pid_t pid,
		void (*ended)(struct child *child, int status, const struct rusage *usage))
{
	int code;

	child->pidfd = pidfd_open(pid, 0);
	if (child->pidfd < 0) {
		code = -errno;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return code;
	}
	child->foreign = false;
	watch(child, loop, pid, ended);
	return 0;
}

void child_watch_foreign(struct child *child, struct loop *loop, pid_t pid, int pidfd,
			 void (*ended)(struct child *child, int status,
				       const struct rusage *usage))
{
	child->pidfd = pidfd;
	child->foreign = true;
	watch(child, loop, pid, ended);
}

void child_abandon(struct child *child)
{
	if (!child->pid)
		return;
	child_forget(child);
	loop_cancel(child->loop, &child->op);
}

static void reaper_signalled(struct loop_op *op, int result)
{
	struct signalfd_siginfo info;

	(void)op;
	if (reaper.fd < 0 || result == -ECANCELED)
		return;
	while (read(reaper.fd, &info, sizeof(info)) > 0)
		;
	reap_orphans();
	if (result < 0)
		loop_timeout(reaper.loop, &reaper.op, RETRY_NS);
	else
		loop_poll(reaper.loop, &reaper.op, reaper.fd, POLLIN);
}

int reaper_init(struct loop *loop)
{
	sigset_t set;

	if (getpid() != 1)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	reaper.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (reaper.fd < 0)
		return -errno;
	reaper.loop = loop;
	reaper.op.done = reaper_signalled;
	reaper.turn.run = reaper_turn;
	loop_poll(loop, &reaper.op, reaper.fd, POLLIN);
	/* Those of before. */
	reap_orphans();
	return 0;
}

void reaper_fini(struct loop *loop)
{
	if (reaper.fd < 0)
		return;
	loop_unqueue(loop, &reaper.turn);
	loop_cancel(loop, &reaper.op);
	close(reaper.fd);
	reaper.fd = -1;
}
