// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The device goes while it is used, in every way that it can be.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include "../kselftest_harness.h"
#include "ends.h"

#define A_WHILE_US	50000
#define LONG_MS		10000
#define ROUNDS		20

static void __attribute__((constructor)) unbind_or_skip(void)
{
	if (access(ENDS_DRIVER "/unbind", W_OK))
		loop_skip("no right to unbind: run it as root");
}

FIXTURE(unbind) {
	struct ends ends;
};

FIXTURE_SETUP(unbind)
{
	ASSERT_TRUE(ends_open(&self->ends, 0));
}

FIXTURE_TEARDOWN(unbind)
{
	ends_close(&self->ends);
}

/* After it: a new region, with new nodes. */
static bool plugged_again(struct ends *e)
{
	ends_plug(e);
	return !loop_find(&e->loop, e->number) && ends_open_files(e) &&
	       write(e->host, "x", 1) == 1 && read(e->guest, e->frame, 1) == 1;
}

TEST_F(unbind, idle)
{
	struct ends *e = &self->ends;

	ends_unplug(e);
	EXPECT_EQ(POLLHUP | POLLERR, ends_poll(e->guest, 0) & (POLLHUP | POLLERR));
	EXPECT_EQ(POLLHUP | POLLERR, ends_poll(e->host, 0) & (POLLHUP | POLLERR));
	EXPECT_EQ(-1, write(e->host, "x", 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_NE(NULL, loop_find(&e->loop, e->number));
	EXPECT_TRUE(plugged_again(e));
}

/**
 * struct sleeper - a thread in a call that does not return by itself
 * @e: ends
 * @call: the call, negative errno
 * @thread: that makes it
 * @ret: what it has returned
 */
struct sleeper {
	struct ends *e;
	long (*call)(struct ends *e);
	pthread_t thread;
	long ret;
};

static void *sleeper_run(void *arg)
{
	struct sleeper *s = arg;

	s->ret = s->call(s->e);
	return NULL;
}

static long call_read(struct ends *e)
{
	char byte;

	return read(e->guest, &byte, 1) < 0 ? -errno : 0;
}

static long call_write(struct ends *e)
{
	return write(e->guest, e->frame, 20000) < 0 ? -errno : 0;
}

static long call_poll(struct ends *e)
{
	struct pollfd p = { .fd = e->guest, .events = POLLIN };

	return poll(&p, 1, LONG_MS) == 1 ? p.revents : 0;
}

static long call_epoll(struct ends *e)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(0), n;

	epoll_ctl(epoll, EPOLL_CTL_ADD, e->guest, &event);
	n = epoll_wait(epoll, &event, 1, LONG_MS);
	close(epoll);
	return n == 1 ? event.events : 0;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Asleep, unbound, awake. Return: what the call has returned; -ETIME: that took too long. */
static long unplugged_under(struct ends *e, long (*call)(struct ends *e))
{
	struct sleeper s = { .e = e, .call = call };
	long long start;

	if (pthread_create(&s.thread, NULL, sleeper_run, &s))
		return -EAGAIN;
	usleep(A_WHILE_US);
	start = now_ms();
	ends_unplug(e);
	pthread_join(s.thread, NULL);
	return now_ms() - start < LONG_MS / 2 ? s.ret : -ETIME;
}

TEST_F(unbind, reader)
{
	ends_block(self->ends.guest, true);
	EXPECT_EQ(-ENODEV, unplugged_under(&self->ends, call_read));
	EXPECT_TRUE(plugged_again(&self->ends));
}

TEST_F(unbind, writer)
{
	struct ends *e = &self->ends;

	while (write(e->guest, e->frame, 20000) > 0)
		;
	ends_block(e->guest, true);
	EXPECT_EQ(-ENODEV, unplugged_under(e, call_write));
	EXPECT_TRUE(plugged_again(e));
}

TEST_F(unbind, poller)
{
	EXPECT_EQ(POLLHUP | POLLERR, unplugged_under(&self->ends, call_poll));
	EXPECT_TRUE(plugged_again(&self->ends));
}

TEST_F(unbind, epoll)
{
	EXPECT_EQ(EPOLLHUP | EPOLLERR, unplugged_under(&self->ends, call_epoll));
	EXPECT_TRUE(plugged_again(&self->ends));
}

static sigjmp_buf out_of_bus;

static void on_bus(int signal)
{
	siglongjmp(out_of_bus, signal);
}

/* Whether @at can be read still. */
static bool is_there(const volatile char *at)
{
	struct sigaction action = { .sa_handler = on_bus };

	sigaction(SIGBUS, &action, NULL);
	if (sigsetjmp(out_of_bus, 1))
		return false;
	(void)*at;
	return true;
}

/* Pages that were touched, and pages that were not. */
TEST_F(unbind, mapping)
{
	struct ends *e = &self->ends;
	size_t page = e->layout.granule, size = e->layout.region_size;
	char *all = mmap(NULL, size, PROT_READ, MAP_SHARED, e->guest, 0);
	char *own = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, e->guest,
			 e->layout.h2g.tail);

	ASSERT_NE(MAP_FAILED, (void *)all);
	ASSERT_NE(MAP_FAILED, (void *)own);
	EXPECT_TRUE(is_there(all));
	EXPECT_TRUE(is_there(own));
	ends_unplug(e);
	EXPECT_FALSE(is_there(all));
	EXPECT_FALSE(is_there(all + size - 1));
	EXPECT_FALSE(is_there(own));
	/* Nor when there is another region. */
	ends_plug(e);
	EXPECT_FALSE(is_there(all));
	munmap(all, size);
	munmap(own, page);
}

/**
 * struct load - threads that use the device until it goes, and when it is there again
 * @loop: whose
 * @stop: when they are to stop
 * @odd: an errno that no call may have ended with
 */
struct load {
	struct loop loop;
	volatile bool stop;
	volatile int odd;
};

static void load_ended(struct load *l)
{
	if (errno != ENODEV && errno != EAGAIN && errno != EBUSY && errno != ENOENT &&
	    errno != ENXIO)
		l->odd = errno;
}

/* Frames until it is gone, then it is opened again. */
static void *load_frames(void *arg)
{
	char frame[3000] = { 0 }, path[64];
	struct load *l = arg;
	int fd = -1;

	while (!l->stop) {
		if (fd < 0) {
			if (loop_node("loop0", "guest", path, sizeof(path)))
				fd = open(path, O_WRONLY | O_NONBLOCK);
			continue;
		}
		if (write(fd, frame, sizeof(frame)) < 0 && errno != EAGAIN) {
			load_ended(l);
			close(fd);
			fd = -1;
		}
	}
	close(fd);
	return NULL;
}

/* Opened, polled, asked, mapped, closed. */
static void *load_opens(void *arg)
{
	struct load *l = arg;
	struct kring_info info;
	char path[64];
	void *at;
	int fd;

	while (!l->stop) {
		if (!loop_node("loop0", "guest", path, sizeof(path)))
			continue;
		fd = open(path, O_RDONLY | O_NONBLOCK);
		if (fd < 0) {
			load_ended(l);
			continue;
		}
		ends_poll(fd, 0);
		if (ioctl(fd, KRING_IOC_INFO, &info))
			load_ended(l);
		at = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
		if (at != MAP_FAILED) {
			madvise(at, getpagesize(), MADV_POPULATE_READ);
			munmap(at, getpagesize());
		} else {
			load_ended(l);
		}
		close(fd);
	}
	return NULL;
}

/* As fast as it can be taken away and given back. */
TEST_F(unbind, under_load)
{
	struct ends *e = &self->ends;
	struct load l = { .loop = e->loop };
	pthread_t frames, opens;
	unsigned int i;

	close(e->guest);
	close(e->host);
	e->guest = -1;
	e->host = -1;
	ASSERT_EQ(0, pthread_create(&frames, NULL, load_frames, &l));
	ASSERT_EQ(0, pthread_create(&opens, NULL, load_opens, &l));
	for (i = 0; i < ROUNDS; i++) {
		usleep(A_WHILE_US);
		ends_unplug(e);
		ends_plug(e);
	}
	l.stop = true;
	pthread_join(frames, NULL);
	pthread_join(opens, NULL);
	EXPECT_EQ(0, l.odd);
	ASSERT_EQ(NULL, loop_find(&e->loop, e->number));
	ASSERT_TRUE(ends_open_files(e));
	ends_drain(e);
	EXPECT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(1, read(e->guest, e->frame, e->frame_size));
}

/* Files that outlive many regions hold none of them back. */
TEST_F(unbind, old_files)
{
	struct ends *e = &self->ends;
	int old[ROUNDS];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		old[i] = dup(e->guest);
		ends_unplug(e);
		ASSERT_TRUE(plugged_again(e));
	}
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(-1, write(old[i], "x", 1));
		EXPECT_EQ(ENODEV, errno);
		close(old[i]);
	}
	EXPECT_EQ(1, write(e->guest, "x", 1));
}

TEST_HARNESS_MAIN
