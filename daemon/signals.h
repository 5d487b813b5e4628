/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Signals that the daemon gets: to stop, and to read its configuration anew.
 */
#ifndef KRINGD_SIGNALS_H
#define KRINGD_SIGNALS_H

#include "agent.h"
#include "options.h"

/**
 * struct signals - what waits for them
 * @agent: who is told
 * @options: command line
 * @fd: signalfd
 * @stopping: nobody is told any more
 * @op: waits for it
 */
struct signals {
	struct agent *agent;
	const struct options *options;
	int fd;
	bool stopping;
	struct loop_op op;
};

/* 0 or a negative errno. */
int signals_init(struct signals *signals, struct agent *agent, const struct options *options);
void signals_fini(struct signals *signals);

#endif /* KRINGD_SIGNALS_H */
