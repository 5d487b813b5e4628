// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * sleepers [WAY...]: processes that sleep on /dev/kring, each in a way of its own, all at once
 * on one file for reading and one for writing. Each prints its name and the time in ms when it
 * wakes; then those who waited for a frame take it, and pri-out prints the new generation and
 * the uuid. Nobody may be at the host's end: where a writer is among them, g2h is filled first.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kring.h>

#include <tap.h>

static char frame[65536];

/* What g2h is filled with. */
#define FILL	4096

static void by_read(int fd)
{
	must(read(fd, frame, sizeof(frame)) > 0);
}

static void by_write(int fd)
{
	must(write(fd, frame, FILL) == FILL);
}

static void by_poll_events(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	must(poll(&p, 1, -1) == 1 && p.revents == events);
}

static void by_poll(int fd)
{
	by_poll_events(fd, POLLIN);
}

static void by_poll_out(int fd)
{
	by_poll_events(fd, POLLOUT);
}

static void by_pri(int fd)
{
	by_poll_events(fd, POLLPRI);
}

static void by_select(int fd)
{
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(fd, &fds);
	must(select(fd + 1, &fds, NULL, NULL, NULL) == 1);
}

static void by_epoll_events(int fd, unsigned int events)
{
	struct epoll_event e = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int n;

	must(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	do {
		n = epoll_wait(ep, &e, 1, -1);
	} while (n < 0 && errno == EINTR);
	must(n == 1);
}

static void by_epoll(int fd)
{
	by_epoll_events(fd, EPOLLIN);
}

static void by_epoll_et(int fd)
{
	by_epoll_events(fd, EPOLLIN | EPOLLET);
}

static void by_epoll_out(int fd)
{
	by_epoll_events(fd, EPOLLOUT | EPOLLET);
}

static void by_epoll_pri(int fd)
{
	by_epoll_events(fd, EPOLLPRI | EPOLLET);
}

/* Submit what has been prepared, and sleep until all of it is done: the last one is a frame. */
static void by_uring_done(struct io_uring *ring, unsigned int count)
{
	struct io_uring_cqe *cqe;
	int res = 0;

	must(io_uring_submit(ring) == (int)count);
	while (count--) {
		must(!io_uring_wait_cqe(ring, &cqe));
		res = cqe->res;
		io_uring_cqe_seen(ring, cqe);
	}
	must(res > 0);
}

static void by_uring_flags(int fd, unsigned int flags)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	must(!io_uring_queue_init(4, &ring, 0));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fd, frame, sizeof(frame), 0);
	io_uring_sqe_set_flags(sqe, flags);
	by_uring_done(&ring, 1);
}

/* The kernel tries once, and arms a poll of its own. */
static void by_uring(int fd)
{
	by_uring_flags(fd, 0);
}

/* The same from a worker thread. */
static void by_uring_async(int fd)
{
	by_uring_flags(fd, IOSQE_ASYNC);
}

static void by_uring_poll(int fd)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	must(!io_uring_queue_init(4, &ring, 0));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fd, frame, sizeof(frame), 0);
	by_uring_done(&ring, 2);
}

static void by_uring_write(int fd)
{
	struct io_uring ring;

	must(!io_uring_queue_init(4, &ring, 0));
	io_uring_prep_write(io_uring_get_sqe(&ring), fd, frame, FILL, 0);
	by_uring_done(&ring, 1);
}

/* What a way waits for: a frame, which it has taken when it wakes or not, room, or neither. */
enum what { FRAME, FRAME_TAKEN, ROOM, GENERATION, GENERATION_OUT };

static const struct way {
	const char *name;
	enum what what;
	void (*sleep)(int fd);
} ways[] = {
	{ "read", FRAME_TAKEN, by_read },
	{ "poll", FRAME, by_poll },
	{ "select", FRAME, by_select },
	{ "epoll", FRAME, by_epoll },
	{ "epoll-et", FRAME, by_epoll_et },
	{ "uring", FRAME_TAKEN, by_uring },
	{ "uring-async", FRAME_TAKEN, by_uring_async },
	{ "uring-poll", FRAME_TAKEN, by_uring_poll },
	{ "write", ROOM, by_write },
	{ "poll-out", ROOM, by_poll_out },
	{ "epoll-out", ROOM, by_epoll_out },
	{ "uring-write", ROOM, by_uring_write },
	{ "pri", GENERATION, by_pri },
	{ "epoll-pri", GENERATION, by_epoll_pri },
	{ "pri-out", GENERATION_OUT, by_pri },
};

#define WAYS	ARRAY_SIZE(ways)

/* It counts as seen then, for all who have this file. */
static void tell_generation(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	struct kring_info info;
	int i;

	must(!ioctl(fd, KRING_IOC_INFO, &info));
	printf("generation %llu uuid ", (unsigned long long)info.generation);
	for (i = 0; i < KRING_UUID_LEN; i++)
		printf("%02x", info.uuid[i]);
	printf("\n");
	must(!poll(&p, 1, 0));
}

static bool wanted(const struct way *way, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], way->name))
			return true;
	return argc == 1;
}

static void sleep_and_tell(const struct way *way, int rd, int wr)
{
	struct timespec now;

	way->sleep(way->what == ROOM || way->what == GENERATION_OUT ? wr : rd);
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%s %lld\n", way->name, now.tv_sec * 1000LL + now.tv_nsec / 1000000);
	fflush(stdout);
	if (way->what == FRAME)
		by_read(rd);
	if (way->what == GENERATION_OUT)
		tell_generation(wr);
	fflush(stdout);
}

static void fill(int wr)
{
	fcntl(wr, F_SETFL, O_NONBLOCK);
	while (write(wr, frame, FILL) == FILL)
		;
	must(errno == EAGAIN);
	fcntl(wr, F_SETFL, 0);
}

int main(int argc, char **argv)
{
	bool filled = false;
	unsigned int i;
	int rd, wr;

	rd = open("/dev/kring", O_RDONLY);
	wr = open("/dev/kring", O_WRONLY);
	if (rd < 0 || wr < 0) {
		perror("/dev/kring");
		return 1;
	}
	for (i = 0; i < WAYS; i++) {
		if (!wanted(&ways[i], argc, argv))
			continue;
		if (ways[i].what == ROOM && !filled)
			fill(wr);
		filled |= ways[i].what == ROOM;
		if (!fork()) {
			sleep_and_tell(&ways[i], rd, wr);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
