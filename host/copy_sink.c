// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A file that is written here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "attributes.h"
#include "copy_sink.h"

/*
 * What is there already. A rename would also replace a device or a socket, which nobody who
 * copies to it wants.
 */
static int look(int dir, const char *name, const char **why)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode)) {
		*why = "there is a directory of that name";
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
		*why = "there is something of that name that is no file";
		return -EINVAL;
	}
	return 0;
}

int copy_sink_open(struct copy_sink *sink, int dir, const char *name, const char *token,
		   uint64_t size, const char **why)
{
	int code;

	code = look(dir, name, why);
	if (code)
		return code;
	code = kring_part_open(&sink->part, dir, token, &sink->position);
	if (code == -EBUSY)
		*why = "it is being copied already";
	if (code)
		return code;
	if (sink->position > size) {
		if (ftruncate(sink->part.fd, 0))
			return -errno;
		sink->position = 0;
	}
	sink->fd = sink->part.fd;
	sink->extents.end = sink->position;
	return 0;
}

int copy_sink_stdout(struct copy_sink *sink)
{
	sink->fd = STDOUT_FILENO;
	return 0;
}

/* All of it: whoever reads our stdout slowly slows down the guest, and nothing else. */
static int write_out(int fd, const void *buf, size_t len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	const char *at = buf;
	ssize_t n;

	while (len) {
		n = write(fd, at, len);
		if (n < 0 && errno == EAGAIN)
			poll(&poll_fd, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= n;
		}
	}
	return 0;
}

/* A pipe has no holes. */
static int write_zeros(int fd, uint64_t len)
{
	static const char zeros[65536];
	size_t n;
	int code = 0;

	for (; len && !code; len -= n) {
		n = len < sizeof(zeros) ? len : sizeof(zeros);
		code = write_out(fd, zeros, n);
	}
	return code;
}

static int put_bytes(struct copy_sink *sink, const void *buf, size_t len, uint64_t offset)
{
	ssize_t n;
	int code;

	if (sink->part.fd >= 0) {
		n = pwrite(sink->fd, buf, len, offset);
		if (!n)
			return -EIO;
		return n < 0 ? -errno : n;
	}
	code = write_zeros(sink->fd, offset - sink->position);
	if (!code)
		code = write_out(sink->fd, buf, len);
	return code ? code : (int)len;
}

int copy_sink_write(struct copy_sink *sink, const void *buf, size_t len)
{
	uint64_t left, offset;
	int n;

	left = kring_extents_next(&sink->extents, &offset);
	if (!left)
		return 0;
	if (len > left)
		len = left;
	do
		n = put_bytes(sink, buf, len, offset);
	while (n == -EINTR);
	if (n > 0) {
		kring_extents_advance(&sink->extents, n);
		sink->position = offset + n;
		sink->bytes += n;
	}
	return n;
}

int copy_sink_finish(struct copy_sink *sink, const char *name, uint64_t size,
		     const char **why)
{
	int code;

	*why = NULL;
	if (sink->part.fd < 0)
		return write_zeros(sink->fd, size - sink->position);
	if (size > sink->position && ftruncate(sink->fd, size))
		return -errno;
	code = kring_set_attributes(sink->fd, NULL, &sink->attributes.all, why);
	if (code)
		return code;
	*why = "sync";
	if (fsync(sink->fd))
		return -errno;
	*why = NULL;
	return kring_part_take(&sink->part, name, false);
}

void copy_sink_close(struct copy_sink *sink)
{
	kring_part_close(&sink->part);
	kring_extents_free(&sink->extents);
	sink->fd = -1;
}
