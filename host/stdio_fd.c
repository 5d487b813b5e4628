// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * stdin, stdout and stderr, without ever blocking on them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stdio_fd.h"

/* What epoll refuses is always ready. */
static bool is_pollable(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bool pollable = true;

	if (epoll < 0)
		return true;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) && errno == EPERM)
		pollable = false;
	close(epoll);
	return pollable;
}

static int open_again(int fd)
{
	int access = fcntl(fd, F_GETFL) & O_ACCMODE;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void stdio_fd_open(struct stdio_fd *s, int fd)
{
	struct stat st;
	int own;

	*s = (struct stdio_fd){ .fd = fd, .kind = STDIO_POLLED };
	if (!is_pollable(fd)) {
		s->kind = STDIO_FILE;
		return;
	}
	if (fstat(fd, &st))
		return;
	if (S_ISSOCK(st.st_mode)) {
		s->kind = STDIO_SOCKET;
		return;
	}
	/* Another device may do something when it is opened. */
	if (!S_ISFIFO(st.st_mode) && !isatty(fd))
		return;
	own = open_again(fd);
	if (own < 0)
		return;
	*s = (struct stdio_fd){ .fd = own, .ours = true, .kind = STDIO_NONBLOCK };
}

void stdio_fd_close(struct stdio_fd *s)
{
	if (s->ours)
		close(s->fd);
	s->ours = false;
	s->fd = -1;
}

ssize_t stdio_fd_read(const struct stdio_fd *s, void *buf, size_t len)
{
	ssize_t n;

	if (s->kind == STDIO_SOCKET)
		n = recv(s->fd, buf, len, MSG_DONTWAIT);
	else
		n = read(s->fd, buf, len);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

ssize_t stdio_fd_write(const struct stdio_fd *s, const void *buf, size_t len)
{
	ssize_t n;

	/* A pipe that poll found ready takes so much. */
	if (s->kind == STDIO_POLLED && len > PIPE_BUF)
		len = PIPE_BUF;
	if (s->kind == STDIO_SOCKET)
		n = send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(s->fd, buf, len);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}
