/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A hook: one program of the guest's administrator, which is run when the guest was restored, or
 * is about to be saved.
 */
#ifndef KRINGD_HOOK_H
#define KRINGD_HOOK_H

#include "agent.h"
#include "failure.h"

struct hook;

/**
 * struct hook_result - how a hook has ended
 * @ok: as it should
 * @refused: by itself, with a status that is not 0; else it may have got anywhere
 * @text: in words, such as "exited with 3"
 */
struct hook_result {
	bool ok;
	bool refused;
	char text[320];
};

/**
 * struct hook_args - which program
 * @path: its path
 * @label: what the log calls it
 * @env: NAME=VALUE, added to the environment that sessions have
 * @env_count: of them
 * @limit: nanoseconds that it may take, then SIGTERM, and SIGKILL when that does not end it
 * @done: it has ended, or nothing ends it; not called from within hook_start()
 * @owner: for @done
 */
struct hook_args {
	const char *path;
	const char *label;
	char *const *env;
	size_t env_count;
	uint64_t limit;
	void (*done)(void *owner, const struct hook_result *result);
	void *owner;
};

/**
 * hook_start() - run it
 * @hook: the new one; it frees itself behind @done
 * @agent: agent
 * @args: which, not needed any more afterwards; what it points to is copied
 * @failure: filled on failure
 *
 * Its stdin is /dev/null, what it prints goes to the log, line by line. It is the leader of a
 * session of its own.
 *
 * Return: 0 or a negative errno; then no @done comes.
 */
int hook_start(struct hook **hook, struct agent *agent, const struct hook_args *args,
	       struct failure *failure);

/* It is not wanted any more: SIGTERM, and SIGKILL when that does not end it; @done comes. */
void hook_stop(struct hook *hook);

#endif /* KRINGD_HOOK_H */
