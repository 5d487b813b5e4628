/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The last bytes of a program's output, for a host that comes later.
 *
 * Bytes have positions, counted from the program's start, so it can be said how many have
 * been dropped. Memory is taken as it is needed, up to the limit.
 */
#ifndef KRINGD_OUTPUT_LOG_H
#define KRINGD_OUTPUT_LOG_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct output_log - bytes from @start up to @end
 * @bytes: the one at position p is at p % @size
 * @size: bytes of memory
 * @max: bytes to keep; 0: none, they are only counted
 * @start: position of the oldest byte there is
 * @end: position behind the newest
 */
struct output_log {
	uint8_t *bytes;
	size_t size;
	size_t max;
	uint64_t start;
	uint64_t end;
};

/* What all of them together may take; without it, there is no limit. */
void output_log_limit(size_t max);

/* All zero is an empty one that keeps nothing. */
void output_log_free(struct output_log *log);

/* What is newer pushes out what is older; so it does where there is no memory for more. */
void output_log_append(struct output_log *log, const void *bytes, size_t len);

/* The bytes from @position on, @start or later, that lie in one piece; 0: there are none. */
size_t output_log_peek(const struct output_log *log, uint64_t position, const void **at);

/* What is before @position will not be asked for. */
void output_log_drop(struct output_log *log, uint64_t position);

#endif /* KRINGD_OUTPUT_LOG_H */
