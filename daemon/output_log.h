/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The last bytes of a program's output, for a host that comes later.
 *
 * Bytes have positions, counted from the program's start, so it can be said how many have
 * been dropped. They are in a file, memory that outlives the agent where there is one that
 * does (store.h). Memory is taken as it is needed, up to the limit.
 */
#ifndef KRINGD_OUTPUT_LOG_H
#define KRINGD_OUTPUT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a log may keep at most. */
#define OUTPUT_LOG_MAX	(64 << 20)

/**
 * struct output_mark - what must be known of an output's log, when the agent is killed
 * @at: offset in the file at which the next byte goes: stored by the kernel
 * @end: position behind the newest byte: may lag behind @at, see output_log_recover()
 * @start: position of the oldest byte that is wanted, if it is still there
 * @origin: position of the byte at the beginning of the log's part of the file
 * @ring: bytes of the file in use: the byte at position p is at (p - @origin) % @ring; 0:
 *	bytes are only counted
 * @max: bytes to keep, 0: none
 * @taken: position up to which hosts have it: what the next one need not be told
 */
struct output_mark {
	uint64_t at;
	uint64_t end;
	uint64_t start;
	uint64_t origin;
	uint64_t ring;
	uint64_t max;
	uint64_t taken;
};

/**
 * struct output_log - a log
 * @mark: what outlives the agent
 * @file: where it is, -1: nowhere, nothing is kept
 * @base: offset in @file from which on it may use OUTPUT_LOG_MAX bytes
 * @held: bytes of memory that it has
 */
struct output_log {
	struct output_mark *mark;
	int file;
	uint64_t base;
	uint64_t held;
};

/* What all of them together may take; without it, there is no limit. */
void output_log_limit(uint64_t max);

/* @mark is all zero, or for output_log_recover(). */
void output_log_init(struct output_log *log, struct output_mark *mark, int file, uint64_t base);

/* After the agent before was killed. Whether @log->mark makes sense; else it is as new. */
bool output_log_recover(struct output_log *log);

/* Keep up to @max bytes from now on; 0: none, and what there is goes. */
void output_log_keep(struct output_log *log, uint64_t max);

/* Gives all memory back. */
void output_log_free(struct output_log *log);

/*
 * Takes memory for @len bytes more, where there is some. How many of them the log takes without
 * losing what is at @position and behind; 0: none now, or, where the log is empty, none at all.
 */
size_t output_log_room(struct output_log *log, uint64_t position, size_t len);

/*
 * What is newer pushes out what is older; so it does where there is no memory for more. As
 * splice(2) from the pipe @fd, or a negative errno. Whenever this process is killed, each
 * byte is either in the pipe or in the log.
 */
ssize_t output_log_take(struct output_log *log, int fd, size_t len);

/* The same for bytes in memory, without that promise. */
void output_log_append(struct output_log *log, const void *bytes, size_t len);

/* Position of the oldest byte there is. */
uint64_t output_log_start(const struct output_log *log);

/* Copies bytes from @position on, @start or later; how many, 0: there are none. */
size_t output_log_read(const struct output_log *log, uint64_t position, void *buf, size_t len);

/* What is before @position will not be asked for. */
void output_log_drop(struct output_log *log, uint64_t position);

#endif /* KRINGD_OUTPUT_LOG_H */
