/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A session: one program that a host has started, with its stdin, stdout and stderr, and the
 * stream that it is attached to, if it is.
 *
 *	starting	forked, and it is not known whether the program runs
 *	running
 *	exited		waited for; what it has left in its pipes is on its way
 *	ended		with a host: told it, and over. A durable one without: kept
 */
#ifndef KRINGD_SESSION_H
#define KRINGD_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agent.h"
#include "input.h"
#include "output.h"
#include "reaper.h"

/**
 * struct session_exit - how the program has ended
 * @status: as of wait4(2), -1: nobody knows
 * @oom_killed: as memory was short
 * @timed_out: as its time was over
 * @user_time: nanoseconds
 * @system_time: nanoseconds
 * @max_rss: bytes
 * @started: nanoseconds since 1970
 * @ended: nanoseconds since 1970
 */
struct session_exit {
	int status;
	bool oom_killed;
	bool timed_out;
	uint64_t user_time;
	uint64_t system_time;
	uint64_t max_rss;
	uint64_t started;
	uint64_t ended;
};

/**
 * struct session - one
 * @list: of all there are
 * @agent: the daemon
 * @number: its number
 * @name: or NULL
 * @arguments: beginning of its argv, each with a NUL behind
 * @arguments_len: bytes
 * @stream: of the host that it is attached to, NULL: none
 * @child: the program
 * @pid: its number, and that of its process group and session; 0: it has ended
 * @report: tells whether the program runs, -1: it does
 * @start: waits for that
 * @timeout: its time, then the time that it has to end
 * @hangup: the time that it has to end when its host has gone
 * @settle: looks whether it is over
 * @input: stdin
 * @outputs: stdout, or all of a terminal; stderr
 * @exit: how it has ended
 * @time_limit: nanoseconds, 0: none
 * @kill_after: nanoseconds from SIGTERM to SIGKILL
 * @log_size: bytes, of each output
 * @oom_before: kills in the whole system when it began
 * @tty: it has a terminal
 * @detach: no host is to be waited for when it has started
 * @send_input: the host that has started it sends stdin
 * @durable: it needs no host
 * @cgroup: it has one
 * @exited: see @exit
 * @hung_up: its host has gone, and so shall it
 * @released: it is no longer in the list, and freed when nothing is under way
 */
struct session {
	TAILQ_ENTRY(session) list;
	struct agent *agent;
	uint64_t number;
	char *name;
	char *arguments;
	size_t arguments_len;
	struct kring_stream *stream;
	struct child child;
	pid_t pid;
	int report;
	struct loop_op start;
	struct loop_op timeout;
	struct loop_op hangup;
	struct loop_job settle;
	struct input input;
	struct output outputs[2];
	struct session_exit exit;
	uint64_t time_limit;
	uint64_t kill_after;
	uint64_t log_size;
	uint64_t oom_before;
	bool tty;
	bool detach;
	bool send_input;
	bool durable;
	bool cgroup;
	bool exited;
	bool hung_up;
	bool released;
};

/* One that does nothing yet; NULL: no memory. */
struct session *session_new(struct agent *agent, uint64_t number);

/* @signal to its process group, and that in the foreground of its terminal. -errno, -ESRCH */
int session_signal(struct session *session, int signal);

/* For child_watch(). */
void session_ended(struct child *child, int status, const struct rusage *usage);

/* Its host has gone: SIGHUP, and SIGKILL when it does not go as well. */
void session_hang_up(struct session *session);

/* Have a look, soon, whether it is over. */
void session_update(struct session *session);

/* Take it out of the list. Freed now or later; its program is not touched. */
void session_release(struct session *session);

/* From callbacks of its operations: whether it is over; then it may be freed now. */
bool session_released(struct session *session);

/* @session->exit as a message. */
void session_exit_message(const struct session *session, Kring__ExecExit *message);

/* Nanoseconds since 1970. */
uint64_t session_clock(void);

#endif /* KRINGD_SESSION_H */
