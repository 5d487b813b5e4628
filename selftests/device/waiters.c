// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Processes that sleep on /dev/kring in every way there is. Each prints what ended its
 * sleep: "NAME: ERRNO" or "NAME: EVENTS". Nobody may be at the host's end: h2g is empty,
 * g2h is filled first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

static char frame[65536];

static void say(const char *name, const char *what)
{
	printf("%s: %s\n", name, what);
	fflush(stdout);
}

static void say_events(const char *name, unsigned int events)
{
	char text[64] = "";

	if (events & POLLIN)
		strcat(text, " IN");
	if (events & POLLOUT)
		strcat(text, " OUT");
	if (events & POLLPRI)
		strcat(text, " PRI");
	if (events & POLLERR)
		strcat(text, " ERR");
	if (events & POLLHUP)
		strcat(text, " HUP");
	say(name, text + (*text == ' '));
}

static void reader(const char *name, int fd)
{
	ssize_t n = read(fd, frame, sizeof(frame));

	say(name, n < 0 ? strerrorname_np(errno) : "a frame");
}

static void writer(const char *name, int fd)
{
	ssize_t n = write(fd, frame, sizeof(frame));

	say(name, n < 0 ? strerrorname_np(errno) : "sent");
}

static void poller(const char *name, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	poll(&p, 1, -1);
	say_events(name, p.revents);
}

static void poll_reader(const char *name, int fd)
{
	poller(name, fd, POLLIN);
}

static void poll_writer(const char *name, int fd)
{
	poller(name, fd, POLLOUT);
}

static void epoller(const char *name, int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	epoll_wait(ep, &e, 1, -1);
	say_events(name, e.events);
}

static void selector(const char *name, int fd)
{
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(fd, &fds);
	select(fd + 1, &fds, NULL, NULL, NULL);
	say(name, FD_ISSET(fd, &fds) ? "readable" : "not readable");
}

static void start(void (*sleeper)(const char *, int), const char *name, int fd)
{
	if (!fork()) {
		sleeper(name, fd);
		_exit(0);
	}
}

int main(void)
{
	int rd, wr;

	rd = open("/dev/kring", O_RDONLY | O_CLOEXEC);
	wr = open("/dev/kring", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (rd < 0 || wr < 0) {
		perror("/dev/kring");
		return 1;
	}
	while (write(wr, frame, sizeof(frame)) > 0)
		;
	if (errno != EAGAIN) {
		perror("fill");
		return 1;
	}
	fcntl(wr, F_SETFL, 0);

	start(reader, "reader", rd);
	start(reader, "second reader", rd);
	start(poll_reader, "poll reader", rd);
	start(epoller, "epoll reader", rd);
	start(selector, "select reader", rd);
	start(writer, "writer", wr);
	start(writer, "second writer", wr);
	start(poll_writer, "poll writer", wr);
	usleep(300000);
	say("all", "asleep");
	while (wait(NULL) > 0)
		;
	return 0;
}
