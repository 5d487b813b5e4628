/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A session: one program that a host has started, with its stdin, stdout and stderr, and the
 * stream that it is attached to, if it is.
 *
 *	starting	forked, and it is not known whether the program runs
 *	running
 *	exited		what it has left in its pipes is on its way
 *	ended		with a host: told it, and over when the host has got that. A durable one
 *			without: kept
 *
 * What must be known of it when this process is killed is in its record, and only there.
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
#include "session_record.h"

/**
 * struct session - one
 * @list: of all there are
 * @agent: the daemon
 * @record: what outlives the daemon, where it does
 * @stream: of the host that it is attached to, NULL: none
 * @child: the program; or its keeper, and where that was killed, the program again
 * @over: hangs up when the keeper has recorded how the program has ended; -1: it has, or
 *	there is none
 * @over_op: waits for that
 * @report: tells whether the program runs, -1: it does
 * @start: waits for that
 * @timeout: its time, then the time that it has to end
 * @hangup: the time that it has to end when its host has gone
 * @grace: the time that an orphan has
 * @pause: until the host has got what comes before an error
 * @settle: looks whether it is over
 * @input: stdin
 * @outputs: stdout, or all of a terminal; stderr
 * @pauses: that there were since anything has changed
 * @unacked: bytes that the host had not got then
 * @closing: streams that are closed here, and not yet over
 * @kept: it has a keeper
 * @detach: no host is to be waited for when it has started
 * @send_input: the host that has started it sends stdin
 * @orphan: the daemon that it was attached to was killed; somebody else may attach
 * @exited: see @record->exit
 * @told: the host was told so, and has not got it yet
 * @released: it is no longer in the list, and freed when nothing is under way
 * @left: it is the next daemon's
 */
struct session {
	TAILQ_ENTRY(session) list;
	struct agent *agent;
	struct session_record *record;
	struct kring_stream *stream;
	struct child child;
	int over;
	struct loop_op over_op;
	int report;
	struct loop_op start;
	struct loop_op timeout;
	struct loop_op hangup;
	struct loop_op grace;
	struct loop_op pause;
	struct loop_job settle;
	struct input input;
	struct output outputs[2];
	unsigned int pauses;
	size_t unacked;
	unsigned int closing;
	bool kept;
	bool detach;
	bool send_input;
	bool orphan;
	bool exited;
	bool told;
	bool released;
	bool left;
};

/* One that does nothing yet, and has its record; NULL: no memory. */
struct session *session_new(struct agent *agent, struct session_record *record);

/* For child_watch(), where there is no keeper. */
void session_ended(struct child *child, int status, const struct rusage *usage);

/* How it has ended is recorded. */
void session_exited(struct session *session);

/* Keep the end of its outputs, from now on. */
void session_keep_log(struct session *session);

/* The agent's end of stdin is closed. */
void session_input_closed(struct session *session);

/* Have a look, soon, whether it is over. */
void session_update(struct session *session);

/* Take it out of the list. Freed now or later; its program is not touched. */
void session_release(struct session *session);

/* The same; but it goes on, without an agent or with the next one. */
void session_leave(struct session *session);

/* From callbacks of its operations: whether it is over; then it may be freed now. */
bool session_released(struct session *session);

/* Its result as a message. */
void session_exit_message(const struct session *session, Kring__ExecExit *message);

/*
 * session_end.c:
 */

/* For session_new(). */
void session_end_init(struct session *session);

/* The program, 0: it has ended, or not begun. */
pid_t session_pid(const struct session *session);

/* @signal to its process group, and that in the foreground of its terminal. -errno, -ESRCH */
int session_signal(struct session *session, int signal);

/* SIGKILL: nothing of it is to survive, as far as that can be seen to. */
void session_kill(struct session *session);

/* Its time is over. */
void session_terminate(struct session *session);

/* Its time is limited from now on. */
void session_limit(struct session *session, uint64_t nanoseconds);

/* SIGHUP, and SIGKILL when it does not go as well. */
void session_end(struct session *session);

/* Its host has gone, and so shall it. */
void session_hang_up(struct session *session);

#endif /* KRINGD_SESSION_H */
