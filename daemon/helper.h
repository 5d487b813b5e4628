/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Programs that kringd runs for itself, such as journalctl, and not as a session.
 */
#ifndef KRINGD_HELPER_H
#define KRINGD_HELPER_H

#include "reaper.h"

/**
 * struct helper - one program
 * @child: the process; its pid is 0 when it does not run
 * @done: it has ended, @status as of waitpid(2), -1: nobody knows. @helper may be freed
 */
struct helper {
	struct child child;
	void (*done)(struct helper *helper, int status);
};

/**
 * helper_start() - run a program
 * @helper: must live until @done
 * @loop: event loop
 * @argv: the first is its path
 * @output: its stdout, -1: /dev/null
 * @done: called when it has ended
 *
 * Return: 0 or a negative errno, also where it could not be executed; then no @done comes.
 */
int helper_start(struct helper *helper, struct loop *loop, char *const argv[], int output,
		 void (*done)(struct helper *helper, int status));

/* Nothing where it does not run. */
void helper_kill(struct helper *helper, int signal);

/* @status in words. */
const char *helper_status_text(int status, char *buf, size_t size);

#endif /* KRINGD_HELPER_H */
