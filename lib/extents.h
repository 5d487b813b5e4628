/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: where the bytes of a file transfer belong. Extents are announced by messages,
 * their bytes come on a channel, one extent's behind the other's; the two are flow-controlled
 * apart, so bytes may be here before it is known where they go, and the other way round.
 */
#ifndef KRING_EXTENTS_H
#define KRING_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kring_file_extent {
	uint64_t offset;
	uint64_t length;
};

/**
 * struct kring_extents - those that were announced and are not filled; starts as zeros
 * @list: a queue
 * @first: index of the current one
 * @count: how many there are behind @first, with it
 * @room: entries that @list has memory for
 * @end: position behind the last one
 */
struct kring_extents {
	struct kring_file_extent *list;
	size_t first;
	size_t count;
	size_t room;
	uint64_t end;
};

/**
 * kring_extents_add() - one was announced
 * @extents: queue
 * @message: encoded Extent, of a peer that may be hostile
 * @len: its bytes
 *
 * Return: 0; -EPROTO: it makes no sense: is empty, or before the last, or beyond any file;
 * -ENOBUFS: far more are open than bytes may be on their way; -ENOMEM.
 */
int kring_extents_add(struct kring_extents *extents, const void *message, size_t len);

/** kring_extents_next() - how many bytes go to @offset now; 0: it is not known yet */
uint64_t kring_extents_next(const struct kring_extents *extents, uint64_t *offset);

/** kring_extents_advance() - @len of those have come */
void kring_extents_advance(struct kring_extents *extents, uint64_t len);

void kring_extents_free(struct kring_extents *extents);

#ifdef __cplusplus
}
#endif

#endif /* KRING_EXTENTS_H */
