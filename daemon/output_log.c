// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The last bytes of a program's output.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "output_log.h"

/* So much at first, then twice as much. */
#define SIZE_MIN	1024

/* Bytes that all of them have, and may have. */
static size_t total;
static size_t total_max = SIZE_MAX;

void output_log_limit(size_t max)
{
	total_max = max;
}

void output_log_free(struct output_log *log)
{
	free(log->bytes);
	total -= log->size;
	log->bytes = NULL;
	log->size = 0;
	log->start = log->end;
}

/* Copies what is there into @bytes of another size, where it has other places. */
static void move(const struct output_log *log, uint8_t *bytes, size_t size)
{
	uint64_t position = log->start;
	size_t from, to, len;

	while (position < log->end) {
		from = position % log->size;
		to = position % size;
		len = log->end - position;
		if (len > log->size - from)
			len = log->size - from;
		if (len > size - to)
			len = size - to;
		memcpy(bytes + to, log->bytes + from, len);
		position += len;
	}
}

/* Makes room for @len bytes in all; perhaps for less. */
static void grow(struct output_log *log, size_t len)
{
	size_t size = log->size ? log->size : SIZE_MIN;
	uint8_t *bytes;

	while (size < len && size < log->max)
		size *= 2;
	if (size > log->max)
		size = log->max;
	if (size <= log->size)
		return;
	if (size - log->size > total_max - total)
		return;
	bytes = malloc(size);
	if (!bytes)
		return;
	total += size - log->size;
	move(log, bytes, size);
	free(log->bytes);
	log->bytes = bytes;
	log->size = size;
}

void output_log_append(struct output_log *log, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	size_t at, piece;

	if (log->end - log->start + len > log->size)
		grow(log, log->end - log->start + len);
	log->end += len;
	if (log->end - log->start > log->size)
		log->start = log->end - log->size;
	if (len > log->size) {
		from += len - log->size;
		len = log->size;
	}
	if (!len)
		return;
	at = (log->end - len) % log->size;
	piece = log->size - at;
	if (piece > len)
		piece = len;
	memcpy(log->bytes + at, from, piece);
	memcpy(log->bytes, from + piece, len - piece);
}

size_t output_log_peek(const struct output_log *log, uint64_t position, const void **at)
{
	size_t from, len;

	if (position < log->start || position >= log->end)
		return 0;
	from = position % log->size;
	len = log->end - position;
	*at = log->bytes + from;
	return len < log->size - from ? len : log->size - from;
}

void output_log_drop(struct output_log *log, uint64_t position)
{
	if (position > log->end)
		position = log->end;
	if (position > log->start)
		log->start = position;
}
