/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The receiving end of one direction: finds out of what positions the bytes are that arrive,
 * in order or not, and says so, byte for byte.
 */
#ifndef COMPARE_READER_H
#define COMPARE_READER_H

#include "record.h"

/* Room for a record that begins anywhere, and much that makes no sense before it. */
#define READER_SIZE	(16 * RECORD_MAX)

/**
 * struct reader_ops - what was found, in the order in which it arrived
 * @data: bytes from position @from up to @to
 * @hello: a hello. Where the bytes behind it are from is then set by reader_expect()
 * @unknown: @count bytes that are nothing that was ever sent
 */
struct reader_ops {
	void (*data)(void *owner, uint64_t from, uint64_t to);
	void (*hello)(void *owner, const struct hello *hello);
	void (*unknown)(void *owner, uint64_t count);
};

/**
 * struct reader - state
 * @content: that is expected
 * @ops: whom to tell
 * @owner: for @ops
 * @position: of the next byte, if nothing is missing
 * @buf: what has arrived
 * @begin: of what is not understood yet, in @buf
 * @len: its bytes
 */
struct reader {
	const struct content *content;
	const struct reader_ops *ops;
	void *owner;
	uint64_t position;
	uint8_t buf[READER_SIZE];
	size_t begin;
	size_t len;
};

/** reader_room() - where to put what arrives, *@room bytes at most; then reader_take() it */
uint8_t *reader_room(struct reader *r, size_t *room);
void reader_take(struct reader *r, size_t len);

/** reader_expect() - the next bytes will be from @position on */
void reader_expect(struct reader *r, uint64_t position);

/** reader_cut() - what is there is all that comes: another connection begins */
void reader_cut(struct reader *r);

#endif /* COMPARE_READER_H */
