// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What is written is what is read: whole frames, in order, none lost and none doubled.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "../kselftest_harness.h"
#include "ends.h"

FIXTURE(frames) {
	struct ends ends;
	char *sent;
};

FIXTURE_SETUP(frames)
{
	ASSERT_TRUE(ends_open(&self->ends, 0));
	self->sent = malloc(self->ends.frame_size);
	ASSERT_NE(NULL, self->sent);
}

FIXTURE_TEARDOWN(frames)
{
	ends_close(&self->ends);
	free(self->sent);
}

static void fill(char *frame, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		frame[i] = seed >> 16;
	}
}

/* One frame from @from to @to, and nothing behind it. */
static bool passes(struct ends *e, char *sent, int from, int to, size_t len)
{
	fill(sent, len, len);
	return write(from, sent, len) == (ssize_t)len &&
	       read(to, e->frame, e->frame_size) == (ssize_t)len &&
	       !memcmp(e->frame, sent, len) &&
	       read(to, e->frame, e->frame_size) < 0 && errno == EAGAIN;
}

TEST_F(frames, all_sizes)
{
	struct ends *e = &self->ends;
	size_t max = e->info.g2h_frame_max, len;

	for (len = 1; len <= 300; len++) {
		ASSERT_TRUE(passes(e, self->sent, e->guest, e->host, len));
		ASSERT_TRUE(passes(e, self->sent, e->host, e->guest, len));
	}
	for (len = 4090; len <= 4100; len++)
		ASSERT_TRUE(passes(e, self->sent, e->guest, e->host, len));
	/* Wherever the ring is: the largest fits when the ring is empty. */
	for (len = max - 20; len <= max; len++) {
		ASSERT_TRUE(passes(e, self->sent, e->guest, e->host, len));
		ASSERT_TRUE(passes(e, self->sent, e->host, e->guest, len));
	}
}

/* Round the ring many times, with as many in it as there is room for. */
TEST_F(frames, order)
{
	struct ends *e = &self->ends;
	unsigned int sent = 0, got = 0;

	while (got < 20000) {
		size_t len = 1 + sent * 2654435761U % 3000;

		fill(self->sent, len, sent);
		if (write(e->guest, self->sent, len) == (ssize_t)len) {
			sent++;
			continue;
		}
		ASSERT_EQ(EAGAIN, errno);
		ASSERT_LT(got, sent);
		for (; got < sent; got++) {
			len = 1 + got * 2654435761U % 3000;
			fill(self->sent, len, got);
			ASSERT_EQ((ssize_t)len, read(e->host, e->frame, e->frame_size));
			ASSERT_EQ(0, memcmp(e->frame, self->sent, len));
		}
	}
}

TEST_F(frames, reads_of_nothing)
{
	struct ends *e = &self->ends;

	ASSERT_EQ(4, write(e->guest, "four", 4));
	EXPECT_EQ(0, read(e->host, e->frame, 0));
	EXPECT_EQ(4, read(e->host, e->frame, e->frame_size));
}

TEST_F(frames, vectors)
{
	struct ends *e = &self->ends;
	struct iovec out[] = { { "one", 3 }, { NULL, 0 }, { "three", 5 }, { "!", 1 } };
	char head[2], tail[16];
	struct iovec in[] = { { head, 2 }, { tail, sizeof(tail) } };

	EXPECT_EQ(9, writev(e->guest, out, ARRAY_SIZE(out)));
	EXPECT_EQ(9, readv(e->host, in, ARRAY_SIZE(in)));
	EXPECT_EQ(0, memcmp(head, "on", 2));
	EXPECT_EQ(0, memcmp(tail, "ethree!", 7));
}

/* Memory whose second page is not there, and its last @len bytes that are. */
static char *cliff(size_t len)
{
	size_t page = getpagesize();
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	munmap(at + page, page);
	return at + page - len;
}

TEST_F(frames, write_faults_half_way)
{
	struct ends *e = &self->ends;
	char *bad = cliff(100);
	struct iovec iov[] = { { e->frame, 50 }, { bad, 200 } };

	EXPECT_EQ(-1, write(e->guest, bad, 101));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, writev(e->guest, iov, 2));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, read(e->host, e->frame, e->frame_size));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_TRUE(passes(e, self->sent, e->guest, e->host, 100));
}

TEST_F(frames, read_faults_half_way)
{
	struct ends *e = &self->ends;
	char *bad = cliff(100);
	struct iovec iov[] = { { e->frame, 50 }, { bad, 200 } };

	fill(self->sent, 200, 1);
	ASSERT_EQ(200, write(e->guest, self->sent, 200));
	EXPECT_EQ(-1, read(e->host, bad, 200));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, readv(e->host, iov, 2));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(200, read(e->host, e->frame, e->frame_size));
	EXPECT_EQ(0, memcmp(e->frame, self->sent, 200));
}

/* Memory that is not there yet is not a fault: it comes. */
TEST_F(frames, untouched_memory)
{
	struct ends *e = &self->ends;
	size_t len = e->info.g2h_frame_max;
	char *fresh = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fill(self->sent, len, 3);
	ASSERT_EQ((ssize_t)len, write(e->guest, self->sent, len));
	EXPECT_EQ((ssize_t)len, read(e->host, fresh, len));
	EXPECT_EQ(0, memcmp(fresh, self->sent, len));
	madvise(fresh, len, MADV_DONTNEED);
	EXPECT_EQ((ssize_t)len, write(e->guest, fresh, len));
	EXPECT_EQ((ssize_t)len, read(e->host, e->frame, e->frame_size));
	munmap(fresh, len);
}

TEST_F(frames, nowait)
{
	struct ends *e = &self->ends;
	struct iovec iov = { e->frame, 1000 };

	ends_block(e->guest, true);
	EXPECT_EQ(-1, preadv2(e->guest, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(EAGAIN, errno);
	while (pwritev2(e->guest, &iov, 1, -1, RWF_NOWAIT) == 1000)
		;
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(1000, read(e->host, e->frame, 1000));
	ends_block(e->guest, false);
}

#define THREADS		4
#define NUMBERS		4000

/**
 * struct share - what one of several threads on one file does
 * @fd: the file, which waits
 * @first: of its numbers, each THREADS apart
 * @seen: how often each number came to it
 * @good: each frame was whole
 */
struct share {
	int fd;
	unsigned int first;
	unsigned int seen[NUMBERS];
	bool good;
};

/* A frame that is one number again and again. */
static void *send_share(void *arg)
{
	struct share *s = arg;
	unsigned int frame[64], i, j;

	for (i = s->first; i < NUMBERS; i += THREADS) {
		for (j = 0; j < ARRAY_SIZE(frame); j++)
			frame[j] = i;
		if (write(s->fd, frame, sizeof(frame)) != sizeof(frame))
			s->good = false;
	}
	return NULL;
}

/* The number NUMBERS is for nobody: it ends one reader. */
static void *receive_share(void *arg)
{
	struct share *s = arg;
	unsigned int frame[64], j;

	for (;;) {
		if (read(s->fd, frame, sizeof(frame)) != sizeof(frame) || frame[0] > NUMBERS)
			break;
		if (frame[0] == NUMBERS)
			return NULL;
		for (j = 1; j < ARRAY_SIZE(frame); j++)
			s->good &= frame[j] == frame[0];
		s->seen[frame[0]]++;
	}
	s->good = false;
	return NULL;
}

TEST_F(frames, threads_on_one_file)
{
	static struct share writers[THREADS], readers[THREADS];
	pthread_t writing[THREADS], reading[THREADS];
	unsigned int frame[64] = { NUMBERS }, i, j;

	ends_block(self->ends.guest, true);
	ends_block(self->ends.host, true);
	for (i = 0; i < THREADS; i++) {
		writers[i] = (struct share){ .fd = self->ends.guest, .first = i, .good = true };
		readers[i] = (struct share){ .fd = self->ends.host, .good = true };
		ASSERT_EQ(0, pthread_create(&writing[i], NULL, send_share, &writers[i]));
		ASSERT_EQ(0, pthread_create(&reading[i], NULL, receive_share, &readers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(writing[i], NULL);
		EXPECT_TRUE(writers[i].good);
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ((ssize_t)sizeof(frame),
			  write(self->ends.guest, frame, sizeof(frame)));
	for (i = 0; i < THREADS; i++) {
		pthread_join(reading[i], NULL);
		EXPECT_TRUE(readers[i].good);
	}
	for (i = 0; i < NUMBERS; i++) {
		unsigned int seen = 0;

		for (j = 0; j < THREADS; j++)
			seen += readers[j].seen[i];
		ASSERT_EQ(1, seen);
	}
	ends_block(self->ends.guest, false);
	ends_block(self->ends.host, false);
}

TEST_HARNESS_MAIN
