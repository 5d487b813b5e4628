/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Service "put": what its two files share.
 */
#ifndef KRINGD_PUT_H
#define KRINGD_PUT_H

#include <extents.h>
#include <part.h>

#include "loop.h"
#include "path.h"

#define PUT_CHUNK	(128 << 10)

/**
 * struct put_attributes - a copy of Attributes, as the request does not stay
 * @all: the message
 * @mode: what it points to
 * @uid: the same
 * @gid: the same
 * @mtime: the same
 */
struct put_attributes {
	Kring__Attributes all;
	Kring__Number mode;
	Kring__Number uid;
	Kring__Number gid;
	Kring__Number mtime;
};

/**
 * struct put - one transfer
 * @op: whatever is under way
 * @loop: event loop
 * @stream: NULL: it is over, and so are we when @op is done
 * @entry: where the file is going to be
 * @part: the file in the making
 * @attributes: that it is going to have
 * @size: bytes that it has at least, in the end
 * @no_replace: there must be none of that name
 * @finishing: all bytes are written
 * @extents: where bytes go
 * @bytes: that came
 * @position: of the chunk in the file
 * @len: bytes of the chunk
 * @written: those of them that are written
 * @chunk: bytes
 */
struct put {
	struct loop_op op;
	struct loop *loop;
	struct kring_stream *stream;
	struct path_entry entry;
	struct kring_part part;
	struct put_attributes attributes;
	uint64_t size;
	bool no_replace;
	bool finishing;
	struct kring_extents extents;
	uint64_t bytes;
	uint64_t position;
	size_t len;
	size_t written;
	uint8_t chunk[PUT_CHUNK];
};

/* Nothing as long as something is under way. */
void put_free(struct put *put);

/* Ends the stream; @why as of path_refuse(). */
void put_fail(struct put *put, int code, const char *step, const char *why);

/* put_attributes.c: takes what is asked for, and for the rest what a replaced file has. */
void put_attributes_set(struct put_attributes *attributes, const Kring__Attributes *asked,
			const struct stat *replaced);

/* put_finish.c: all bytes are written: attributes, sync, name, answer. */
void put_finish(struct put *put);

#endif /* KRINGD_PUT_H */
