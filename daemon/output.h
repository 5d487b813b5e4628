/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One output of a session, stdout or stderr: from a pipe or terminal into a channel of its
 * stream, or into the log while it has none.
 */
#ifndef KRINGD_OUTPUT_H
#define KRINGD_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "output_log.h"

struct session;

/**
 * struct output - the way out
 * @session: whose
 * @op: waits for bytes
 * @fd: non-blocking, -1: it is at its end
 * @relay: pipe between a terminal and the log, each -1: there is none
 * @relayed: bytes in it
 * @channel: of the stream
 * @ending: the program has ended: no more than @left bytes are waited for
 * @ended: the stream was told that it is at its end
 * @left: bytes that were in the pipe when the program ended
 * @sent: position behind what the stream was given
 * @log: for the next one
 */
struct output {
	struct session *session;
	struct loop_op op;
	int fd;
	int relay[2];
	size_t relayed;
	uint8_t channel;
	bool ending;
	bool ended;
	size_t left;
	uint64_t sent;
	struct output_log log;
};

void output_init(struct output *output, struct session *session, unsigned int channel);

/* There may be bytes, or there is room for some. */
void output_pump(struct output *output);

/* The program has ended: get what it has left behind. */
void output_finish(struct output *output);

/* A stream has come; what it has missed begins with the log. How many bytes are lost. */
uint64_t output_attach(struct output *output, bool no_log);

/* The stream has gone. */
void output_detach(struct output *output);

/* A host has got all before @position. */
void output_delivered(struct output *output, uint64_t position);

/* Whether there is no more to come, and the stream has it all. */
bool output_flushed(const struct output *output);

/* Its files are closed; the log stays. */
void output_free(struct output *output);

/* output_take.c: up to @want bytes into the log: as read(2), or a negative errno. */
ssize_t output_take(struct output *output, size_t want);

#endif /* KRINGD_OUTPUT_H */
