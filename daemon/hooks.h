/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Hooks: the programs of one directory, one after another.
 *
 * Which files count is as with run-parts(8): names of letters, digits, "-" and "_", of regular
 * files that may be executed, in the order of their bytes.
 */
#ifndef KRINGD_HOOKS_H
#define KRINGD_HOOKS_H

#include <limits.h>

#include "hook.h"

/**
 * struct hooks_event - what has happened, for the hooks' environment
 * @old_generation: before it; KRING_OLD_GENERATION
 * @new_generation: since; KRING_NEW_GENERATION
 * @forked: KRING_FORKED
 * @has_uuid: the region has one
 * @uuid: which; KRING_UUID
 */
struct hooks_event {
	uint64_t old_generation;
	uint64_t new_generation;
	bool forked;
	bool has_uuid;
	uint8_t uuid[KRING_UUID_LEN];
};

/**
 * struct hooks_args - which to run
 * @dir: directory, NULL: none; it may be missing
 * @event: what has happened
 * @reverse: the last one first
 * @veto: behind one that fails, no others are run
 * @until: those whose names come behind this one are not run; NULL: all are. Not with @veto
 * @but_until: nor is that one itself
 */
struct hooks_args {
	const char *dir;
	const struct hooks_event *event;
	bool reverse;
	bool veto;
	const char *until;
	bool but_until;
};

#define HOOKS_ENV	4

/**
 * struct hooks - a run of them
 * @agent: agent
 * @done: called when it is over
 * @veto: as of the args
 * @stopped: hooks_stop() was called
 * @dir: directory
 * @name: its last part
 * @names: of those to be run
 * @count: how many
 * @next: which is next
 * @hook: that runs, NULL: none
 * @turn: starts the next one
 * @failed: how many have failed
 * @last: name of the last one that was begun; empty: none was
 * @refused: it has failed by itself; else, how far it has got cannot be known
 * @failure: the first failure, "NAME exited with 3"
 * @text: of @env
 * @env: environment
 */
struct hooks {
	struct agent *agent;
	void (*done)(struct hooks *hooks);
	bool veto;
	bool stopped;
	char dir[PATH_MAX];
	const char *name;
	char **names;
	size_t count;
	size_t next;
	struct hook *hook;
	struct loop_job turn;
	unsigned int failed;
	char last[NAME_MAX + 1];
	bool refused;
	char failure[400];
	char text[HOOKS_ENV][64];
	char *env[HOOKS_ENV];
};

/**
 * hooks_start() - run them
 * @hooks: stays until @done
 * @agent: agent
 * @args: which
 * @done: called when the last one has ended, not from within this function
 */
void hooks_start(struct hooks *hooks, struct agent *agent, const struct hooks_args *args,
		 void (*done)(struct hooks *hooks));

/* No others are run, and the present one is ended. @done comes. */
void hooks_stop(struct hooks *hooks);

#endif /* KRINGD_HOOKS_H */
