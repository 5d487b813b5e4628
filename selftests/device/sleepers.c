// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Processes that sleep until a frame comes, each in a way of its own, all at once on one
 * file. Each prints its name when it is woken and takes one frame; the last takes the rest.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tap.h>

static char frame[65536];

static void by_read(int fd)
{
	(void)fd;
}

static void by_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, -1);
}

static void by_select(int fd)
{
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(fd, &fds);
	select(fd + 1, &fds, NULL, NULL, NULL);
}

static void by_epoll_events(int fd, unsigned int events)
{
	struct epoll_event e = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	epoll_wait(ep, &e, 1, -1);
}

static void by_epoll(int fd)
{
	by_epoll_events(fd, EPOLLIN);
}

static void by_epoll_et(int fd)
{
	by_epoll_events(fd, EPOLLIN | EPOLLET);
}

static const struct {
	const char *name;
	void (*sleep)(int fd);
} ways[] = {
	{ "read", by_read },
	{ "poll", by_poll },
	{ "select", by_select },
	{ "epoll", by_epoll },
	{ "epoll-et", by_epoll_et },
};

#define WAYS	((unsigned int)ARRAY_SIZE(ways))

/* Sent by traffic-host --send. */
#define FRAMES	8

int main(void)
{
	unsigned int i;
	int fd;

	fd = open("/dev/kring", O_RDONLY);
	if (fd < 0) {
		perror("/dev/kring");
		return 1;
	}
	for (i = 0; i < WAYS; i++) {
		if (fork())
			continue;
		ways[i].sleep(fd);
		if (read(fd, frame, sizeof(frame)) > 0)
			printf("%s\n", ways[i].name);
		fflush(stdout);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	for (i = WAYS; i < FRAMES; i++)
		if (read(fd, frame, sizeof(frame)) <= 0)
			return 1;
	return 0;
}
