/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * stdin, stdout and stderr, without ever blocking on them.
 *
 * They are shared with other processes, which would see O_NONBLOCK too if it was set here. So
 * a pipe or a terminal is opened a second time, through /proc/self/fd, which gives an open
 * file of our own. Where that is not allowed (the terminal belongs to another user, say), they
 * are polled, and asked for no more than they can surely do. Files have no need of either.
 */
#ifndef KRING_STDIO_FD_H
#define KRING_STDIO_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * enum stdio_kind - how it is to be used
 * @STDIO_FILE: a file, or a device that is always ready: cannot be polled, and need not
 * @STDIO_SOCKET: asked not to wait, each time
 * @STDIO_NONBLOCK: our own open file, with O_NONBLOCK
 * @STDIO_POLLED: shared: only when poll says so, and little at once
 */
enum stdio_kind {
	STDIO_FILE,
	STDIO_SOCKET,
	STDIO_NONBLOCK,
	STDIO_POLLED,
};

/** struct stdio_fd - one of them */
struct stdio_fd {
	int fd;
	bool ours;
	enum stdio_kind kind;
};

/* @fd: STDIN_FILENO, or one of the others */
void stdio_fd_open(struct stdio_fd *s, int fd);
void stdio_fd_close(struct stdio_fd *s);

/* As read(2) and write(2), with a negative errno; -EAGAIN: not now. */
ssize_t stdio_fd_read(const struct stdio_fd *s, void *buf, size_t len);
ssize_t stdio_fd_write(const struct stdio_fd *s, const void *buf, size_t len);

#endif /* KRING_STDIO_FD_H */
