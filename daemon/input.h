/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A session's stdin: from channel 0 of its stream into a pipe or terminal.
 */
#ifndef KRINGD_INPUT_H
#define KRINGD_INPUT_H

#include <stdbool.h>

#include "loop.h"

struct session;

/**
 * struct input - the way in
 * @session: whose
 * @op: waits for room
 * @fd: non-blocking, -1: there is none any more
 * @line_open: a terminal, and the last byte was within a line
 */
struct input {
	struct session *session;
	struct loop_op op;
	int fd;
	bool line_open;
};

void input_init(struct input *input, struct session *session);

/* Bytes have come, or their end; or there is another stream. */
void input_pump(struct input *input);

/* Whatever comes from now on is dropped. */
void input_close(struct input *input);

#endif /* KRINGD_INPUT_H */
