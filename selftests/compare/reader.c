// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <string.h>

#include "reader.h"

/* Something that tells where it is, at an offset of the buffer. */
struct anchor {
	size_t at;
	bool is_hello;
	struct hello hello;
	uint32_t number;
};

uint8_t *reader_room(struct reader *r, size_t *room)
{
	memmove(r->buf, r->buf + r->begin, r->len);
	r->begin = 0;
	*room = sizeof(r->buf) - r->len;
	return r->buf + r->len;
}

void reader_expect(struct reader *r, uint64_t position)
{
	r->position = position;
}

static const uint8_t *bytes(const struct reader *r)
{
	return r->buf + r->begin;
}

static void drop(struct reader *r, size_t len)
{
	r->begin += len;
	r->len -= len;
}

/* Bytes at the buffer's start that are those from r->position on, up to their record's end. */
static size_t matching(const struct reader *r, size_t *wanted)
{
	const struct content *c = r->content;
	uint8_t expected[RECORD_MAX];
	size_t n = 0, len;

	*wanted = c->size - r->position % c->size;
	len = r->len < *wanted ? r->len : *wanted;
	content_get(c, r->position, expected, len);
	if (!memcmp(bytes(r), expected, len))
		return len;
	while (bytes(r)[n] == expected[n])
		n++;
	return n;
}

static bool find_anchor(const struct reader *r, size_t from, struct anchor *anchor)
{
	size_t at;

	for (at = from; at < r->len; at++) {
		anchor->at = at;
		anchor->is_hello = hello_decode(&anchor->hello, bytes(r) + at, r->len - at);
		if (anchor->is_hello ||
		    content_find(r->content, bytes(r) + at, r->len - at, &anchor->number))
			return true;
	}
	return false;
}

static void accept(struct reader *r, size_t len)
{
	if (!len)
		return;
	r->ops->data(r->owner, r->position, r->position + len);
	r->position += len;
}

/* Bytes of the buffer between @from and @to that end where the record @number begins. */
static size_t backward(const struct reader *r, size_t from, size_t to, uint32_t number)
{
	uint64_t begin = (uint64_t)number * r->content->size;
	size_t n = 0;
	uint8_t byte;

	for (; to - n > from && n < begin && n < r->content->size; n++) {
		content_get(r->content, begin - n - 1, &byte, 1);
		if (byte != bytes(r)[to - n - 1])
			break;
	}
	return n;
}

/* The first @good bytes are as expected, what is at the anchor is known, between is a gap. */
static void bridge(struct reader *r, size_t good, const struct anchor *anchor)
{
	size_t tail = 0;

	/* A hello may begin with what was expected, by chance. */
	if (good > anchor->at)
		good = anchor->at;
	accept(r, good);
	if (!anchor->is_hello)
		tail = backward(r, good, anchor->at, anchor->number);
	if (anchor->at - good - tail)
		r->ops->unknown(r->owner, anchor->at - good - tail);
	if (anchor->is_hello) {
		drop(r, anchor->at + HELLO_SIZE);
		r->ops->hello(r->owner, &anchor->hello);
		return;
	}
	r->position = (uint64_t)anchor->number * r->content->size - tail;
	accept(r, tail);
	drop(r, anchor->at);
}

/* Makes room where nothing is found for long. */
static void shed(struct reader *r, size_t good)
{
	size_t keep = RECORD_MAX + HELLO_SIZE;

	if (r->len < sizeof(r->buf) / 2)
		return;
	accept(r, good);
	r->ops->unknown(r->owner, r->len - keep - good);
	drop(r, r->len - keep);
}

void reader_take(struct reader *r, size_t len)
{
	struct anchor anchor;
	size_t good, wanted;

	r->len += len;
	while (r->len) {
		good = matching(r, &wanted);
		if (good == wanted) {
			accept(r, good);
			drop(r, good);
			continue;
		}
		/* So far, so good: the rest of the record will come. */
		if (good == r->len)
			return;
		if (!find_anchor(r, good < HELLO_SIZE ? 0 : good - HELLO_SIZE + 1, &anchor)) {
			shed(r, good);
			return;
		}
		bridge(r, good, &anchor);
	}
}

void reader_cut(struct reader *r)
{
	size_t wanted, good = r->len ? matching(r, &wanted) : 0;

	accept(r, good);
	if (r->len - good)
		r->ops->unknown(r->owner, r->len - good);
	r->len = 0;
}
