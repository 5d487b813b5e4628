/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A file that is read for the guest: its data, without its holes. What cannot be sought in,
 * such as a pipe at stdin, is one extent.
 */
#ifndef KRING_COPY_SOURCE_H
#define KRING_COPY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/**
 * struct copy_source - a file
 * @fd: its own
 * @piped: it cannot be sought in
 * @st: when it was opened
 * @next: position that comes next
 * @hole: where the extent that @next is in ends
 */
struct copy_source {
	int fd;
	bool piped;
	struct stat st;
	uint64_t next;
	uint64_t hole;
};

/* @fd becomes its own, also on failure. -EINVAL: neither a file nor @piped */
int copy_source_open(struct copy_source *source, int fd, bool piped);
void copy_source_close(struct copy_source *source);

/*
 * Reads up to @len bytes, all of one extent, which begin at *@offset. Return: how many, 0:
 * there are no more; -EIO: the file has shrunk; -EAGAIN: of a pipe that has none now.
 */
int copy_source_read(struct copy_source *source, void *buf, int len, uint64_t *offset);

/* Whether somebody has written to it since. */
bool copy_source_changed(const struct copy_source *source);

#endif /* KRING_COPY_SOURCE_H */
