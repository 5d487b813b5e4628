// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <endian.h>
#include <string.h>

#include "record.h"

#define HEAD	8
#define TAIL	4

static const char record_magic[4] = "REC1";
static const char hello_magic[4] = "HEL1";

static uint32_t crc32(const uint8_t *buf, size_t len)
{
	static uint32_t table[256];
	uint32_t crc = ~0u;
	unsigned int i, bit;

	if (!table[1])
		for (i = 0; i < 256; i++) {
			table[i] = i;
			for (bit = 0; bit < 8; bit++)
				table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
		}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *buf++) & 0xff];
	return ~crc;
}

static void put32(uint8_t *buf, uint32_t value)
{
	value = htole32(value);
	memcpy(buf, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *buf)
{
	uint32_t value;

	memcpy(&value, buf, sizeof(value));
	return le32toh(value);
}

/* xorshift64* */
void content_init(struct content *c, uint64_t seed, size_t size)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + 1, word;
	size_t i;

	c->size = size;
	for (i = 0; i < sizeof(c->block); i += sizeof(word)) {
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		word = htole64(x * 0x2545f4914f6cdd1d);
		memcpy(c->block + i, &word, sizeof(word));
	}
}

static void record_make(const struct content *c, uint32_t number, uint8_t *buf)
{
	/* The factor is odd: 65536 records have 65536 different pieces of the block. */
	size_t at = number * 7919u % BLOCK_SIZE;

	memcpy(buf, record_magic, sizeof(record_magic));
	put32(buf + 4, number);
	memcpy(buf + HEAD, c->block + at, c->size - HEAD - TAIL);
	put32(buf + c->size - TAIL, crc32(buf, c->size - TAIL));
}

void content_get(const struct content *c, uint64_t position, uint8_t *buf, size_t len)
{
	uint8_t record[RECORD_MAX];
	size_t at, n;

	for (; len; len -= n, buf += n, position += n) {
		at = position % c->size;
		n = c->size - at < len ? c->size - at : len;
		record_make(c, position / c->size, record);
		memcpy(buf, record + at, n);
	}
}

bool content_find(const struct content *c, const uint8_t *buf, size_t len, uint32_t *number)
{
	uint8_t record[RECORD_MAX];

	if (len < c->size || memcmp(buf, record_magic, sizeof(record_magic)))
		return false;
	if (get32(buf + c->size - TAIL) != crc32(buf, c->size - TAIL))
		return false;
	*number = get32(buf + 4);
	record_make(c, *number, record);
	return !memcmp(buf, record, c->size);
}

void hello_encode(const struct hello *hello, uint8_t *buf)
{
	uint64_t have = htole64(hello->have);

	memcpy(buf, hello_magic, sizeof(hello_magic));
	put32(buf + 4, hello->epoch);
	memcpy(buf + 8, &have, sizeof(have));
	put32(buf + HELLO_SIZE - TAIL, crc32(buf, HELLO_SIZE - TAIL));
}

bool hello_decode(struct hello *hello, const uint8_t *buf, size_t len)
{
	uint64_t have;

	if (len < HELLO_SIZE || memcmp(buf, hello_magic, sizeof(hello_magic)))
		return false;
	if (get32(buf + HELLO_SIZE - TAIL) != crc32(buf, HELLO_SIZE - TAIL))
		return false;
	memcpy(&have, buf + 8, sizeof(have));
	hello->epoch = get32(buf + 4);
	hello->have = le64toh(have);
	return true;
}
