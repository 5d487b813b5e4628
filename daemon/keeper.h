/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The keeper of a session: a process between the agent and the program, so that neither the
 * agent's end nor its absence is a loss. It is the program's parent, and so alone in being
 * told how it ends; it holds the descriptors of the agent's end; and it does nothing else.
 *
 * There is one where the store outlives the agent.
 */
#ifndef KRINGD_KEEPER_H
#define KRINGD_KEEPER_H

#include <signal.h>

#include "session_record.h"
#include "spawn.h"

/* "Look at your record": @input has changed. */
#define KEEPER_SIGNAL	SIGUSR1

/* Its descriptors; those of the program and SPAWN_REPORT are below. */
enum keeper_file {
	KEEPER_CGROUP = SPAWN_REPORT + 1,
	KEEPER_LIFE,
	KEEPER_OVER,
	KEEPER_OVER_AGENT,
	KEEPER_INPUT,
	KEEPER_OUTPUT,
	KEEPER_ERRORS,
	KEEPER_RELAY_AGENT,
	KEEPER_RELAY,
	KEEPER_FILES,
};

/**
 * struct keeper - what it holds, each -1: there is none
 * @record: the session's; it fills in @keeper, @pid and @exit
 * @number: of the session, as it was before the fork
 * @life: the store's
 * @over: pipe: hangs up when how the program has ended is recorded, or when the keeper was
 *	killed
 * @input: the agent's end of stdin
 * @outputs: those of stdout, or a terminal's master; and stderr
 * @relay: pipe between terminal and log
 */
struct keeper {
	struct session_record *record;
	uint64_t number;
	int life;
	int over[2];
	int input;
	int outputs[2];
	int relay[2];
};

/* Before there is one: memory is taken from where a keeper can drop it. */
void keeper_init(void);

/* In a child of the agent's: be the keeper of @spawn, and tell @report what spawn_start() says. */
void keeper_run(const struct keeper *keeper, struct spawn *spawn, int report)
	__attribute__((noreturn));

/**
 * keeper_find() - what a keeper holds, for an agent that has come since
 * @keeper: filled in, but for @life; the caller's
 * @record: which
 *
 * Return: its pidfd, the caller's; -ESRCH: it was killed; -EAGAIN: it has not begun, and will
 * not any more; or another negative errno.
 */
int keeper_find(struct keeper *keeper, struct session_record *record);

/* Closes what keeper_find() has found. */
void keeper_close(struct keeper *keeper);

#endif /* KRINGD_KEEPER_H */
