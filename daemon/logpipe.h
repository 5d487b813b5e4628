/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A pipe whose lines go to the log: what a program prints that kringd has started for itself.
 */
#ifndef KRINGD_LOGPIPE_H
#define KRINGD_LOGPIPE_H

#include "loop.h"

/**
 * struct logpipe - one
 * @loop: event loop
 * @op: waits for bytes
 * @end: calls @over
 * @fd: reading end, -1: it is over
 * @label: what is put in front of each line
 * @over: called when it is over and nothing is under way; @pipe may be freed
 * @len: bytes of @line
 * @line: as far as it has come
 */
struct logpipe {
	struct loop *loop;
	struct loop_op op;
	struct loop_job end;
	int fd;
	const char *label;
	void (*over)(struct logpipe *pipe);
	size_t len;
	char line[512];
};

/**
 * logpipe_start() - make a pipe, and read it
 * @pipe: stays until @over
 * @loop: event loop
 * @label: stays as long as @pipe
 * @over: called once behind logpipe_finish(), not from within
 *
 * Return: its writing end, the caller's; or a negative errno.
 */
int logpipe_start(struct logpipe *pipe, struct loop *loop, const char *label,
		  void (*over)(struct logpipe *pipe));

/*
 * The program has ended: what it has left in the pipe is logged. Others may have it open still,
 * of those that it has started: what they print is dropped, and with @stay they may go on.
 */
void logpipe_finish(struct logpipe *pipe, bool stay);

#endif /* KRINGD_LOGPIPE_H */
