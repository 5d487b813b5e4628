/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A file that is written here: in the making beside its place, or stdout.
 */
#ifndef KRING_COPY_SINK_H
#define KRING_COPY_SINK_H

#include "copy.h"
#include "extents.h"

/**
 * struct copy_sink - a file
 * @part: in the making; its fd is -1 for stdout
 * @fd: where bytes go to
 * @extents: where they belong
 * @position: behind the last byte that was written, or that was there
 * @bytes: that were written
 * @attributes: that it gets
 */
struct copy_sink {
	struct kring_part part;
	int fd;
	struct kring_extents extents;
	uint64_t position;
	uint64_t bytes;
	struct attributes attributes;
};

/**
 * copy_sink_open() - begin a file, or go on with it
 * @sink: zeroed, but for the descriptors, which are -1
 * @dir: directory that it goes to
 * @name: in it
 * @token: as of kring_part_open()
 * @size: that it is going to have, 0: any
 * @why: may be set to what is wrong
 *
 * Return: 0, and @position says where it begins; or a negative errno.
 */
int copy_sink_open(struct copy_sink *sink, int dir, const char *name, const char *token,
		   uint64_t size, const char **why);
int copy_sink_stdout(struct copy_sink *sink);

/* How many of the bytes were written, 0: it is not known yet where to; or a negative errno. */
int copy_sink_write(struct copy_sink *sink, const void *buf, size_t len);

/* All is there: attributes, sync, name. -errno: @why says at what. */
int copy_sink_finish(struct copy_sink *sink, const char *name, uint64_t size,
		     const char **why);

void copy_sink_close(struct copy_sink *sink);

#endif /* KRING_COPY_SINK_H */
