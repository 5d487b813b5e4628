// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A file that is read for the guest.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "copy_source.h"

int copy_source_open(struct copy_source *source, int fd, bool piped)
{
	int code = 0;

	source->fd = fd;
	source->piped = piped;
	source->next = 0;
	source->hole = 0;
	if (fstat(fd, &source->st))
		code = -errno;
	else if (!piped && !S_ISREG(source->st.st_mode))
		code = -EINVAL;
	if (code)
		copy_source_close(source);
	return code;
}

void copy_source_close(struct copy_source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
}

/* Of files such as those in /proc nobody knows the size, which is said to be 0. */
static bool sized(const struct copy_source *source)
{
	return !source->piped && source->st.st_size;
}

/* Moves @next to where there is data. False: there is none any more. */
static bool seek(struct copy_source *source)
{
	uint64_t size = source->st.st_size;
	off_t at;

	if (!sized(source))
		return true;
	if (source->next >= size)
		return false;
	if (source->next < source->hole)
		return true;
	at = lseek(source->fd, source->next, SEEK_DATA);
	if (at < 0 && errno == ENXIO) {
		source->next = size;
		return false;
	}
	if (at >= 0) {
		source->next = at;
		at = lseek(source->fd, at, SEEK_HOLE);
	}
	source->hole = at < 0 || (uint64_t)at > size ? size : (uint64_t)at;
	return source->next < size;
}

/* It may be shared with others, so it is not made non-blocking. */
static ssize_t read_pipe(const struct copy_source *source, void *buf, int len)
{
	struct pollfd poll_fd = { .fd = source->fd, .events = POLLIN };

	if (poll(&poll_fd, 1, 0) != 1)
		return -EAGAIN;
	return read(source->fd, buf, len);
}

/* 0 at a size that was not reached: has it shrunk, or is it one of /sys, which has less? */
static int early_end(const struct copy_source *source)
{
	struct stat st;

	if (!sized(source) || fstat(source->fd, &st) || st.st_size >= source->st.st_size)
		return 0;
	return -EIO;
}

int copy_source_read(struct copy_source *source, void *buf, int len, uint64_t *offset)
{
	ssize_t n;

	if (!seek(source))
		return early_end(source);
	if (sized(source) && source->hole - source->next < (uint64_t)len)
		len = source->hole - source->next;
	do {
		n = source->piped ? read_pipe(source, buf, len) :
		    pread(source->fd, buf, len, source->next);
		if (n < 0 && n != -EAGAIN)
			n = -errno;
	} while (n == -EINTR);
	if (n < 0)
		return n;
	if (!n)
		return early_end(source);
	*offset = source->next;
	source->next += n;
	return n;
}

bool copy_source_changed(const struct copy_source *source)
{
	struct stat st;

	if (!sized(source) || fstat(source->fd, &st))
		return false;
	return st.st_size != source->st.st_size ||
	       st.st_mtim.tv_sec != source->st.st_mtim.tv_sec ||
	       st.st_mtim.tv_nsec != source->st.st_mtim.tv_nsec;
}
