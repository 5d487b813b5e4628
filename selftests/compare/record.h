/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a conversation consists of: in each direction a sequence of records of one size, each
 * with its number, pseudo-random bytes that both ends know, and a checksum. So any byte's
 * position can be told, also of those next to a place where bytes are missing. Between them,
 * hellos, by which the two ends agree where to go on.
 *
 *	record: "REC1", le32 number, bytes, le32 CRC-32 of all before
 *	hello:  "HEL1", le32 epoch, le64 have, le32 CRC-32 of all before
 */
#ifndef COMPARE_RECORD_H
#define COMPARE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAX	4096
#define HELLO_SIZE	20

/* Epochs of hellos that are something else: a request to begin one, and the end. */
#define EPOCH_RESYNC	0u
#define EPOCH_BYE	UINT32_MAX

#define BLOCK_SIZE	65536

/**
 * struct content - all the bytes of one direction, by their position
 * @block: pseudo-random bytes, of which each record has some
 * @size: bytes of a record
 */
struct content {
	uint8_t block[BLOCK_SIZE + RECORD_MAX];
	size_t size;
};

/**
 * struct hello - sent by the host when it begins anew, and answered by the guest
 * @epoch: number of the beginning
 * @have: position up to which its sender has all bytes of the other side's
 */
struct hello {
	uint32_t epoch;
	uint64_t have;
};

void content_init(struct content *c, uint64_t seed, size_t size);

/** content_get() - the bytes from @position on, @len of them */
void content_get(const struct content *c, uint64_t position, uint8_t *buf, size_t len);

/** content_find() - whether a record is at @buf, in @len bytes; its number */
bool content_find(const struct content *c, const uint8_t *buf, size_t len, uint32_t *number);

void hello_encode(const struct hello *hello, uint8_t *buf);
bool hello_decode(struct hello *hello, const uint8_t *buf, size_t len);

#endif /* COMPARE_RECORD_H */
