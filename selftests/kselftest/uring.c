// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * io_uring: what waits does so in the kernel's wait queues, not in worker threads.
 */
#include <dirent.h>
#include <liburing.h>

#include "../kselftest_harness.h"
#include "ends.h"

#define LONG_S		10

static void __attribute__((constructor)) uring_or_skip(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0))
		loop_skip("no io_uring, or no right to it");
	io_uring_queue_exit(&ring);
}

FIXTURE(uring) {
	struct ends ends;
	struct io_uring ring;
};

FIXTURE_SETUP(uring)
{
	ASSERT_EQ(0, io_uring_queue_init(64, &self->ring, 0));
	ASSERT_TRUE(ends_open(&self->ends, 0));
	/* io_uring answers -EAGAIN for a file that is O_NONBLOCK. */
	ends_block(self->ends.guest, true);
}

FIXTURE_TEARDOWN(uring)
{
	io_uring_queue_exit(&self->ring);
	ends_close(&self->ends);
}

static struct io_uring_sqe *ask(struct io_uring *ring, unsigned long data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_sqe_set_data64(sqe, data);
	return sqe;
}

/* The next completion's result; -ETIME: there is none in time. */
static int answer(struct io_uring *ring, unsigned long *data, unsigned int *flags)
{
	struct __kernel_timespec ts = { .tv_sec = LONG_S };
	struct io_uring_cqe *cqe;
	int err, ret;

	io_uring_submit(ring);
	err = io_uring_wait_cqe_timeout(ring, &cqe, &ts);
	if (err)
		return err;
	ret = cqe->res;
	if (data)
		*data = cqe->user_data;
	if (flags)
		*flags = cqe->flags;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* Whether nothing is complete. */
static bool waits(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	io_uring_submit(ring);
	usleep(50000);
	return io_uring_peek_cqe(ring, &cqe) == -EAGAIN;
}

/* io_uring's worker threads are threads of this process, named so. */
static unsigned int workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int found = 0;
	char path[PATH_MAX], name[16];

	while ((entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) && !strncmp(name, "iou-wrk", 7))
			found++;
		fclose(file);
	}
	closedir(dir);
	return found;
}

TEST_F(uring, read_waits)
{
	struct ends *e = &self->ends;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		io_uring_prep_read(ask(&self->ring, 1), e->guest, e->frame, e->frame_size, 0);
		if (!i)
			ASSERT_TRUE(waits(&self->ring));
		io_uring_submit(&self->ring);
		ASSERT_EQ(3, write(e->host, "abc", 3));
		ASSERT_EQ(3, answer(&self->ring, NULL, NULL));
		ASSERT_EQ(0, memcmp(e->frame, "abc", 3));
	}
	EXPECT_EQ(0, workers());
}

TEST_F(uring, write_waits)
{
	struct ends *e = &self->ends;
	size_t max = e->info.g2h_frame_max;
	unsigned int i;

	ends_block(e->guest, false);
	while (write(e->guest, e->frame, max) > 0)
		;
	ends_block(e->guest, true);
	for (i = 0; i < 50; i++) {
		io_uring_prep_write(ask(&self->ring, 1), e->guest, e->frame, max, 0);
		if (!i)
			ASSERT_TRUE(waits(&self->ring));
		io_uring_submit(&self->ring);
		ASSERT_EQ((ssize_t)max, read(e->host, e->frame, e->frame_size));
		ASSERT_EQ((int)max, answer(&self->ring, NULL, NULL));
	}
	EXPECT_EQ(0, workers());
}

TEST_F(uring, vectors)
{
	struct ends *e = &self->ends;
	struct iovec out[] = { { "one", 3 }, { "two", 3 } };
	char head[2], tail[16];
	struct iovec in[] = { { head, 2 }, { tail, sizeof(tail) } };

	io_uring_prep_writev(ask(&self->ring, 1), e->guest, out, 2, 0);
	EXPECT_EQ(6, answer(&self->ring, NULL, NULL));
	ASSERT_EQ(6, read(e->host, e->frame, e->frame_size));
	ASSERT_EQ(6, write(e->host, "eerht.", 6));
	io_uring_prep_readv(ask(&self->ring, 1), e->guest, in, 2, 0);
	EXPECT_EQ(6, answer(&self->ring, NULL, NULL));
	EXPECT_EQ(0, memcmp(head, "ee", 2));
	EXPECT_EQ(0, memcmp(tail, "rht.", 4));
}

TEST_F(uring, poll_once)
{
	struct ends *e = &self->ends;

	io_uring_prep_poll_add(ask(&self->ring, 1), e->guest, POLLIN);
	ASSERT_TRUE(waits(&self->ring));
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(POLLIN, answer(&self->ring, NULL, NULL));
}

/* One request, an answer each time that there is something new. */
TEST_F(uring, poll_multishot)
{
	struct ends *e = &self->ends;
	unsigned int i, flags;

	ends_block(e->guest, false);
	io_uring_prep_poll_multishot(ask(&self->ring, 1), e->guest, POLLIN);
	ASSERT_TRUE(waits(&self->ring));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(1, write(e->host, "x", 1));
		ASSERT_EQ(POLLIN, answer(&self->ring, NULL, &flags) & POLLIN);
		ASSERT_TRUE(flags & IORING_CQE_F_MORE);
		while (read(e->guest, e->frame, 1) == 1)
			;
		ASSERT_EQ(EAGAIN, errno);
	}
	EXPECT_EQ(0, workers());
}

TEST_F(uring, cancel)
{
	struct ends *e = &self->ends;
	unsigned long data;
	int i;

	io_uring_prep_read(ask(&self->ring, 1), e->guest, e->frame, e->frame_size, 0);
	io_uring_prep_poll_add(ask(&self->ring, 2), e->guest, POLLPRI);
	ASSERT_TRUE(waits(&self->ring));
	io_uring_prep_cancel64(ask(&self->ring, 3), 1, 0);
	io_uring_prep_cancel64(ask(&self->ring, 3), 2, 0);
	for (i = 0; i < 4; i++) {
		int ret = answer(&self->ring, &data, NULL);

		EXPECT_EQ(data == 3 ? 0 : -ECANCELED, ret);
	}
	/* The frame that comes is nobody's whom nobody waits for. */
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(1, read(e->guest, e->frame, 1));
}

/* Requests on one file come back in some order, each with a frame of its own. */
TEST_F(uring, many_reads)
{
	struct ends *e = &self->ends;
	static unsigned int in[32];
	unsigned int seen = 0;
	unsigned long data;
	unsigned int i;

	for (i = 0; i < 32; i++)
		io_uring_prep_read(ask(&self->ring, i), e->guest, &in[i], sizeof(in[i]), 0);
	ASSERT_TRUE(waits(&self->ring));
	for (i = 0; i < 32; i++)
		ASSERT_EQ((ssize_t)sizeof(i), write(e->host, &i, sizeof(i)));
	for (i = 0; i < 32; i++) {
		ASSERT_EQ((int)sizeof(i), answer(&self->ring, &data, NULL));
		seen |= 1U << in[data];
	}
	EXPECT_EQ(~0U, seen);
}

TEST_F(uring, unbind)
{
	struct ends *e = &self->ends;
	unsigned long data;
	int i, ret;

	io_uring_prep_read(ask(&self->ring, 1), e->guest, e->frame, e->frame_size, 0);
	io_uring_prep_poll_add(ask(&self->ring, 2), e->guest, POLLIN);
	ASSERT_TRUE(waits(&self->ring));
	ends_unplug(e);
	for (i = 0; i < 2; i++) {
		ret = answer(&self->ring, &data, NULL);
		EXPECT_EQ(data == 1 ? -ENODEV : POLLHUP | POLLERR, ret);
	}
	ends_plug(e);
}

/* The ring goes with requests that wait; the file does not. */
TEST_F(uring, closed)
{
	struct ends *e = &self->ends;

	io_uring_prep_read(ask(&self->ring, 1), e->guest, e->frame, e->frame_size, 0);
	ASSERT_TRUE(waits(&self->ring));
	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, io_uring_queue_init(4, &self->ring, 0));
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(1, read(e->guest, e->frame, 1));
}

TEST_HARNESS_MAIN
