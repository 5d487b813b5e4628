/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A queue of bytes: in at the back, out at the front. What is in it does not move.
 */
#ifndef KRING_QUEUE_H
#define KRING_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct kring_chunk;

/**
 * struct kring_queue - bytes in chunks; all zero is an empty one
 * @first: chunk at the front
 * @last: chunk at the back
 * @start: bytes of @first that were dropped
 * @len: bytes in the queue
 * @reserved: between kring_queue_reserve() and kring_queue_commit()
 * @memory: where the bytes that chunks take are counted, set by the owner
 */
struct kring_queue {
	struct kring_chunk *first;
	struct kring_chunk *last;
	size_t start;
	size_t len;
	bool reserved;
	size_t *memory;
};

void kring_queue_clear(struct kring_queue *queue);

/*
 * Room for up to @want bytes at the back, in one piece; 0: no memory. Nothing is appended
 * before kring_queue_commit().
 */
size_t kring_queue_reserve(struct kring_queue *queue, size_t want, void **at);

/* @len of the reserved bytes are filled, perhaps 0. */
void kring_queue_commit(struct kring_queue *queue, size_t len);

/* All of @len bytes, or -ENOMEM and none. */
int kring_queue_append(struct kring_queue *queue, const void *buf, size_t len);

/* The bytes from @skip on that lie in one piece; 0: there are none. */
size_t kring_queue_peek(const struct kring_queue *queue, size_t skip, const void **at);

/* Copies @len bytes from @skip on, which must be there. */
void kring_queue_copy(const struct kring_queue *queue, size_t skip, void *buf, size_t len);

/* Drops @len bytes at the front, which must be there. */
void kring_queue_drop(struct kring_queue *queue, size_t len);

#endif /* KRING_QUEUE_H */
