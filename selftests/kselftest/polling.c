// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Who waits, and what wakes them: poll(), epoll, select(), calls that sleep, signals.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include "../kselftest_harness.h"
#include "ends.h"

/* Longer than anything takes that works; shorter than the harness waits. */
#define LONG_MS		10000
#define A_WHILE_US	100000

FIXTURE(polling) {
	struct ends ends;
};

FIXTURE_SETUP(polling)
{
	ASSERT_TRUE(ends_open(&self->ends, 0));
}

FIXTURE_TEARDOWN(polling)
{
	ends_close(&self->ends);
}

static unsigned int fill_up(struct ends *e, int fd, size_t len)
{
	unsigned int frames = 0;

	while (write(fd, e->frame, len) == (ssize_t)len)
		frames++;
	return frames;
}

TEST_F(polling, states)
{
	struct ends *e = &self->ends;
	unsigned int i, frames;

	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(POLLIN | POLLOUT, ends_poll(e->guest, 0));
	ASSERT_EQ(1, read(e->guest, e->frame, 1));
	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
	frames = fill_up(e, e->guest, 10000);
	ASSERT_LT(10, frames);
	EXPECT_EQ(0, ends_poll(e->guest, 0));
	/* Until there is room for what was refused, not for just anything. */
	fill_up(e, e->guest, 1);
	EXPECT_EQ(-1, write(e->guest, e->frame, 10000));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(10000, read(e->host, e->frame, e->frame_size));
	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
}

TEST_F(polling, one_direction)
{
	struct ends *e = &self->ends;
	int fd;

	close(e->guest);
	ASSERT_EQ(1, write(e->host, "x", 1));
	fd = open(e->loop.guest, O_WRONLY);
	EXPECT_EQ(POLLOUT, ends_poll(fd, 0));
	close(fd);
	fd = open(e->loop.guest, O_RDONLY);
	EXPECT_EQ(POLLIN, ends_poll(fd, 0));
	close(fd);
	e->guest = open(e->loop.guest, O_RDWR | O_NONBLOCK);
}

/**
 * struct later - what the host's end does a while from now
 * @e: ends
 * @read: it reads a frame, else it writes one
 * @thread: that does it
 */
struct later {
	struct ends *e;
	bool read;
	pthread_t thread;
};

static void *act(void *arg)
{
	struct later *l = arg;
	char *frame = malloc(l->e->frame_size);

	usleep(A_WHILE_US);
	if (l->read ? read(l->e->host, frame, l->e->frame_size) <= 0 :
		      write(l->e->host, "x", 1) != 1)
		printf("# the host's end: %s\n", strerror(errno));
	free(frame);
	return NULL;
}

static bool do_later(struct later *l, struct ends *e, bool read)
{
	*l = (struct later){ .e = e, .read = read };
	return !pthread_create(&l->thread, NULL, act, l);
}

TEST_F(polling, sleeps_until)
{
	struct ends *e = &self->ends;
	struct pollfd in = { .fd = e->guest, .events = POLLIN }, out = { e->guest, POLLOUT };
	struct later l;

	ASSERT_TRUE(do_later(&l, e, false));
	EXPECT_EQ(1, poll(&in, 1, LONG_MS));
	EXPECT_EQ(POLLIN, in.revents);
	pthread_join(l.thread, NULL);
	fill_up(e, e->guest, e->info.g2h_frame_max);
	ASSERT_TRUE(do_later(&l, e, true));
	EXPECT_EQ(1, poll(&out, 1, LONG_MS));
	EXPECT_EQ(POLLOUT, out.revents);
	pthread_join(l.thread, NULL);
}

TEST_F(polling, select)
{
	struct timeval tv = { LONG_MS / 1000, 0 };
	struct ends *e = &self->ends;
	struct later l;
	fd_set in;

	FD_ZERO(&in);
	FD_SET(e->guest, &in);
	ASSERT_TRUE(do_later(&l, e, false));
	EXPECT_EQ(1, select(e->guest + 1, &in, NULL, NULL, &tv));
	EXPECT_TRUE(FD_ISSET(e->guest, &in));
	pthread_join(l.thread, NULL);
}

TEST_F(polling, blocking_calls)
{
	struct ends *e = &self->ends;
	struct later l;

	ends_block(e->guest, true);
	ASSERT_TRUE(do_later(&l, e, false));
	EXPECT_EQ(1, read(e->guest, e->frame, e->frame_size));
	pthread_join(l.thread, NULL);
	ends_block(e->guest, false);
	fill_up(e, e->guest, e->info.g2h_frame_max);
	ends_block(e->guest, true);
	ASSERT_TRUE(do_later(&l, e, true));
	EXPECT_EQ(e->info.g2h_frame_max, write(e->guest, e->frame, e->info.g2h_frame_max));
	pthread_join(l.thread, NULL);
	ends_block(e->guest, false);
}

static int watch(int fd, unsigned int events)
{
	struct epoll_event event = { .events = events };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -1 : epoll;
}

/* What epoll says within @timeout; 0: nothing. */
static unsigned int told(int epoll, int timeout)
{
	struct epoll_event event;
	int n = epoll_wait(epoll, &event, 1, timeout);

	return n == 1 ? event.events : n;
}

TEST_F(polling, level_triggered)
{
	struct ends *e = &self->ends;
	int epoll = watch(e->guest, EPOLLIN);

	ASSERT_LE(0, epoll);
	EXPECT_EQ(0, told(epoll, 0));
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(EPOLLIN, told(epoll, LONG_MS));
	EXPECT_EQ(EPOLLIN, told(epoll, LONG_MS));
	ASSERT_EQ(1, read(e->guest, e->frame, 1));
	EXPECT_EQ(0, told(epoll, 0));
	close(epoll);
}

/* Once for each time that there is something new, for whoever reads all there is. */
TEST_F(polling, edge_triggered)
{
	struct ends *e = &self->ends;
	int epoll = watch(e->guest, EPOLLIN | EPOLLET), i;

	ASSERT_LE(0, epoll);
	EXPECT_EQ(0, told(epoll, 0));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(1, write(e->host, "x", 1));
		ASSERT_EQ(EPOLLIN, told(epoll, LONG_MS));
		while (read(e->guest, e->frame, 1) == 1)
			;
		ASSERT_EQ(EAGAIN, errno);
	}
	EXPECT_EQ(0, told(epoll, 10));
	close(epoll);
}

TEST_F(polling, edge_triggered_room)
{
	struct ends *e = &self->ends;
	int epoll = watch(e->guest, EPOLLOUT | EPOLLET), i;

	ASSERT_LE(0, epoll);
	EXPECT_EQ(EPOLLOUT, told(epoll, 0));
	for (i = 0; i < 20; i++) {
		ASSERT_LT(0, fill_up(e, e->guest, 20000));
		ASSERT_EQ(EAGAIN, errno);
		while (read(e->host, e->frame, e->frame_size) > 0)
			;
		ASSERT_EQ(EPOLLOUT, told(epoll, LONG_MS));
	}
	close(epoll);
}

TEST_F(polling, one_shot)
{
	struct ends *e = &self->ends;
	int epoll = watch(e->guest, EPOLLIN | EPOLLONESHOT);

	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(EPOLLIN, told(epoll, LONG_MS));
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(0, told(epoll, 50));
	close(epoll);
}

static volatile int signals;

static void count(int signal)
{
	(void)signal;
	signals++;
}

/* Signals to this thread, a while from now and then each while. */
static timer_t signal_often(int flags)
{
	struct itimerspec often = { { 0, A_WHILE_US * 1000 }, { 0, A_WHILE_US * 1000 } };
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	timer_t timer;

	event._sigev_un._tid = gettid();
	sigaction(SIGUSR1, &action, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &often, NULL);
	return timer;
}

TEST_F(polling, signals_interrupt)
{
	struct ends *e = &self->ends;
	struct pollfd in = { .fd = e->guest, .events = POLLIN };
	timer_t timer = signal_often(0);

	ends_block(e->guest, true);
	EXPECT_EQ(-1, read(e->guest, e->frame, 1));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(-1, poll(&in, 1, LONG_MS));
	EXPECT_EQ(EINTR, errno);
	timer_delete(timer);
	ends_block(e->guest, false);
}

/* With SA_RESTART the call goes on, and the frame that comes is its. */
TEST_F(polling, signals_restart)
{
	timer_t timer = signal_often(SA_RESTART);
	struct ends *e = &self->ends;
	struct later l;

	signals = 0;
	ends_block(e->guest, true);
	while (signals < 3)
		usleep(1000);
	ASSERT_TRUE(do_later(&l, e, false));
	EXPECT_EQ(1, read(e->guest, e->frame, e->frame_size));
	EXPECT_LE(3, signals);
	timer_delete(timer);
	pthread_join(l.thread, NULL);
	ends_block(e->guest, false);
}

TEST_HARNESS_MAIN
