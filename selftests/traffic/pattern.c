// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <string.h>

#include "pattern.h"

/* splitmix64: numbers that look random and follow from @x. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

size_t pattern_size(uint64_t seq)
{
	return sizeof(struct pattern) + mix(seq) % (PATTERN_MAX - sizeof(struct pattern) + 1);
}

/* The bytes behind the struct pattern of frame @seq go to @body; the sum is over them. */
static uint64_t body_fill(uint8_t *body, size_t len, uint64_t seq)
{
	uint64_t sum = seq, word = seq;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		word = mix(word);
		n = len - i < sizeof(word) ? len - i : sizeof(word);
		memcpy(body + i, &word, n);
		sum = mix(sum ^ word);
	}
	return sum;
}

void pattern_fill(void *buf, uint64_t seq)
{
	struct pattern p = { .seq = seq };

	p.sum = body_fill((uint8_t *)buf + sizeof(p), pattern_size(seq) - sizeof(p), seq);
	memcpy(buf, &p, sizeof(p));
}

bool tally_count(struct tally *t, const void *buf, size_t len)
{
	uint8_t expected[PATTERN_MAX];
	struct pattern p = { 0 };

	if (len >= sizeof(p))
		memcpy(&p, buf, sizeof(p));
	pattern_fill(expected, p.seq);
	if (len != pattern_size(p.seq) || memcmp(buf, expected, len)) {
		t->corrupt++;
		return false;
	}
	if (p.seq < t->next) {
		t->duplicated++;
		return false;
	}
	t->lost += p.seq - t->next;
	t->next = p.seq + 1;
	return true;
}
