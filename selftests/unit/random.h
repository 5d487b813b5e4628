/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Random numbers that a failed test can be run with again.
 */
#ifndef KRING_UNIT_RANDOM_H
#define KRING_UNIT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xorshift64*; *@state is not 0 */
static inline uint32_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545f4914f6cdd1dULL) >> 32;
}

/* 0 to @n - 1 */
static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (uint64_t)random_next(state) * n >> 32;
}

/* Bytes that follow from @seed, and that no shift or swap of frames leaves as they are. */
static inline void pattern_fill(uint8_t *to, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = seed * 167 + (seed >> 8) * 13 + i * 31 + (i >> 8);
}

static inline int pattern_check(const uint8_t *from, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (from[i] != (uint8_t)(seed * 167 + (seed >> 8) * 13 + i * 31 + (i >> 8)))
			return 0;
	return 1;
}

#endif /* KRING_UNIT_RANDOM_H */
