// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A queue of bytes.
 *
 * A chunk is as large as what came in at once, and at least as what is in the queue, up to
 * CHUNK: so a queue that holds a line takes a line, and one that is filled byte by byte does
 * not take a chunk for each.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue.h"

#define CHUNK		4096
#define CHUNK_MIN	64

struct kring_chunk {
	struct kring_chunk *next;
	uint32_t size;
	uint32_t used;
	uint8_t data[];
};

static struct kring_chunk *chunk_add(struct kring_queue *queue, size_t want)
{
	struct kring_chunk *chunk;
	size_t size = want;

	if (size < CHUNK) {
		size += queue->len;
		if (size < CHUNK_MIN)
			size = CHUNK_MIN;
		if (size > CHUNK)
			size = CHUNK;
	}
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->size = size;
	chunk->used = 0;
	if (queue->last)
		queue->last->next = chunk;
	else
		queue->first = chunk;
	queue->last = chunk;
	*queue->memory += sizeof(*chunk) + size;
	return chunk;
}

static void chunk_free(struct kring_queue *queue, struct kring_chunk *chunk)
{
	*queue->memory -= sizeof(*chunk) + chunk->size;
	free(chunk);
}

/* Gives back what a reserve of much, and a commit of little, has left. */
static void chunk_shrink(struct kring_queue *queue)
{
	struct kring_chunk *chunk = queue->last, *prev = NULL;
	size_t size = chunk->used > CHUNK_MIN ? chunk->used : CHUNK_MIN;
	struct kring_chunk *smaller;

	if (chunk->used && (chunk->size <= CHUNK || chunk->used > chunk->size / 2))
		return;
	if (chunk != queue->first)
		for (prev = queue->first; prev->next != chunk; prev = prev->next)
			;
	if (chunk->used) {
		smaller = realloc(chunk, sizeof(*chunk) + size);
		if (!smaller)
			return;
		*queue->memory -= smaller->size - size;
		smaller->size = size;
		queue->last = smaller;
	} else {
		chunk_free(queue, chunk);
		smaller = NULL;
		queue->last = prev;
	}
	if (prev)
		prev->next = smaller;
	else
		queue->first = smaller;
}

void kring_queue_clear(struct kring_queue *queue)
{
	struct kring_chunk *chunk, *next;

	for (chunk = queue->first; chunk; chunk = next) {
		next = chunk->next;
		chunk_free(queue, chunk);
	}
	queue->first = NULL;
	queue->last = NULL;
	queue->start = 0;
	queue->len = 0;
	queue->reserved = false;
}

size_t kring_queue_reserve(struct kring_queue *queue, size_t want, void **at)
{
	struct kring_chunk *chunk = queue->last;
	size_t room = chunk ? chunk->size - chunk->used : 0;

	/* Not a few bytes first, where many are wanted. */
	if (room < want && room < CHUNK / 2) {
		chunk = chunk_add(queue, want);
		if (!chunk)
			return 0;
		room = chunk->size;
	}
	queue->reserved = true;
	*at = chunk->data + chunk->used;
	return room < want ? room : want;
}

void kring_queue_commit(struct kring_queue *queue, size_t len)
{
	if (!queue->reserved)
		return;
	queue->reserved = false;
	queue->last->used += len;
	queue->len += len;
	if (!queue->len)
		kring_queue_clear(queue);
	else
		chunk_shrink(queue);
}

int kring_queue_append(struct kring_queue *queue, const void *buf, size_t len)
{
	struct kring_chunk *chunk = queue->last;
	size_t room = chunk ? chunk->size - chunk->used : 0;
	size_t head = len < room ? len : room;
	const uint8_t *from = buf;

	/* First what can fail. */
	if (head < len && !chunk_add(queue, len - head))
		return -ENOMEM;
	if (head) {
		memcpy(chunk->data + chunk->used, from, head);
		chunk->used += head;
	}
	if (head < len) {
		memcpy(queue->last->data, from + head, len - head);
		queue->last->used = len - head;
	}
	queue->len += len;
	return 0;
}

size_t kring_queue_peek(const struct kring_queue *queue, size_t skip, const void **at)
{
	const struct kring_chunk *chunk;

	if (skip >= queue->len)
		return 0;
	skip += queue->start;
	for (chunk = queue->first; skip >= chunk->used; chunk = chunk->next)
		skip -= chunk->used;
	*at = chunk->data + skip;
	return chunk->used - skip;
}

void kring_queue_copy(const struct kring_queue *queue, size_t skip, void *buf, size_t len)
{
	const void *at = NULL;
	size_t piece;

	while (len) {
		piece = kring_queue_peek(queue, skip, &at);
		if (piece > len)
			piece = len;
		memcpy(buf, at, piece);
		buf = (uint8_t *)buf + piece;
		skip += piece;
		len -= piece;
	}
}

void kring_queue_drop(struct kring_queue *queue, size_t len)
{
	struct kring_chunk *chunk;

	queue->len -= len;
	queue->start += len;
	while ((chunk = queue->first) && queue->start >= chunk->used) {
		if (chunk == queue->last && queue->reserved)
			break;
		queue->start -= chunk->used;
		queue->first = chunk->next;
		if (!queue->first)
			queue->last = NULL;
		chunk_free(queue, chunk);
	}
}
