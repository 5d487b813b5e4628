/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The processes that this one has to wait for: those that it has started, and, where it is
 * PID 1, every orphan.
 */
#ifndef KRINGD_REAPER_H
#define KRINGD_REAPER_H

#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "loop.h"

/**
 * struct child - a process that this one has started, or another agent before
 * @list: of all there are
 * @pid: its number; 0: it is no longer waited for
 * @pidfd: becomes readable when it has ended
 * @foreign: somebody else is told how it ends
 * @loop: where that is waited for
 * @op: the wait
 * @ended: it has ended, and is no zombie any more; @status and @usage as of wait4(2). After
 *	child_abandon(), or where it is @foreign, they are -1 and NULL. @child may be freed
 */
struct child {
	LIST_ENTRY(child) list;
	pid_t pid;
	int pidfd;
	bool foreign;
	struct loop *loop;
	struct loop_op op;
	void (*ended)(struct child *child, int status, const struct rusage *usage);
};

/**
 * child_watch() - wait for a process that was just started
 * @child: must live until @ended
 * @loop: event loop
 * @pid: the process
 * @ended: called when it has ended
 *
 * Return: 0 or a negative errno: there are too many open files. The process was killed then,
 * and no @ended comes.
 */
int child_watch(struct child *child, struct loop *loop, pid_t pid,
		void (*ended)(struct child *child, int status, const struct rusage *usage));

/* The same for a process that is not this one's child; @pidfd is closed in the end. */
void child_watch_foreign(struct child *child, struct loop *loop, pid_t pid, int pidfd,
			 void (*ended)(struct child *child, int status,
				       const struct rusage *usage));

/* Lets it go on, and does not wait for it; @ended is called soon. */
void child_abandon(struct child *child);

/* Where this process is PID 1. 0 or a negative errno. */
int reaper_init(struct loop *loop);
void reaper_fini(struct loop *loop);

#endif /* KRINGD_REAPER_H */
