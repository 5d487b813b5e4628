/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Frames that can be checked: a sequence number, and bytes that follow from it.
 *
 * Both ends compute each frame from its number alone, size included, so nothing else need
 * be agreed on and no frame can be taken for another.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_MAX	4096

/**
 * struct pattern - the start of each frame
 * @seq: number of the frame in its direction, from 0
 * @sum: of all other bytes
 */
struct pattern {
	uint64_t seq;
	uint64_t sum;
};

/**
 * struct tally - what a receiver has seen
 * @next: number of the frame that should come next
 * @lost: frames that were left out
 * @duplicated: frames that came again
 * @corrupt: frames whose bytes were not as sent
 */
struct tally {
	uint64_t next;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t corrupt;
};

/* Bytes of frame @seq, sizeof(struct pattern) to PATTERN_MAX. */
size_t pattern_size(uint64_t seq);

/* Write frame @seq to @buf. */
void pattern_fill(void *buf, uint64_t seq);

/* Count a received frame. Return: whether it was the next one, and whole. */
bool tally_count(struct tally *t, const void *buf, size_t len);

#endif /* PATTERN_H */
