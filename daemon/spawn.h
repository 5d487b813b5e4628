/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Start a program, and say precisely why it cannot be.
 */
#ifndef KRINGD_SPAWN_H
#define KRINGD_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "failure.h"
#include "identity.h"

/* In the program's process: what is behind stdin, stdout and stderr. */
#define SPAWN_REPORT	3

struct keeper;

/* Of one resource. */
struct spawn_limit {
	unsigned int resource;
	struct rlimit limit;
};

/**
 * struct spawn - what the program is to be
 * @argv: arguments, NULL behind the last
 * @identify: called in the child, where it may wait: fills in @identity and @envp. 0, or a
 *	negative errno with the failure filled in
 * @envp: environment, NULL behind the last
 * @cwd: directory, NULL: @identity's home, or / where that is not there
 * @identity: user and groups
 * @umask: of files that it makes
 * @limits: resource limits; of the same resource the last one counts
 * @limit_count: of them
 * @files: its stdin, stdout and stderr
 * @tty: they are a terminal, which becomes its controlling one
 * @cgroup: cgroup.procs of the cgroup that it belongs to, -1: the agent's
 * @keeper: process in between, NULL: none
 */
struct spawn {
	char *const *argv;
	int (*identify)(struct spawn *spawn, struct failure *failure);
	char *const *envp;
	const char *cwd;
	const struct identity *identity;
	mode_t umask;
	const struct spawn_limit *limits;
	size_t limit_count;
	int files[3];
	bool tty;
	int cgroup;
	const struct keeper *keeper;
};

/**
 * spawn_start() - start it
 * @spawn: what; not needed any more afterwards
 * @report: becomes readable when it runs, or does not; the caller's
 * @failure: filled on failure
 *
 * Return: its process, leader of a session of its own, or its keeper; or a negative errno.
 */
pid_t spawn_start(struct spawn *spawn, int *report, struct failure *failure);

/**
 * spawn_report() - whether it runs
 * @report: from spawn_start()
 * @failure: filled where it does not; the process ends, and has to be waited for
 *
 * Return: 0; -EAGAIN: not known yet; or a negative errno.
 */
int spawn_report(int report, struct failure *failure);

/*
 * In a child, for its keeper:
 */

/* Be the program: what is in @spawn's files and SPAWN_REPORT is there already. */
void spawn_become(struct spawn *spawn, int report) __attribute__((noreturn));

/* Tell the agent, and end. */
void spawn_fail(int report, const struct failure *failure) __attribute__((noreturn));

/*
 * Descriptors 0 to @count - 1 are those in @files, -1: none, and there are no others; all but
 * the program's are close-on-exec. 0 or a negative errno with the failure filled in.
 */
int spawn_arrange(int *files, int count, struct failure *failure);

/* The value of NAME in an environment, or NULL. */
const char *spawn_getenv(char *const *envp, const char *name);

#endif /* KRINGD_SPAWN_H */
