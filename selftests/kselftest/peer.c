// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the other end may write, honest or not: want flags, a new generation, nonsense.
 */
#include <pthread.h>
#include <time.h>

#include "../kselftest_harness.h"
#include "ends.h"

FIXTURE(peer) {
	struct ends ends;
};

FIXTURE_SETUP(peer)
{
	ASSERT_TRUE(ends_open(&self->ends, 0));
}

FIXTURE_TEARDOWN(peer)
{
	ends_close(&self->ends);
}

/* A statistic of the guest's end. */
static unsigned long stat_of(const struct ends *e, const char *name)
{
	char path[64], value[32];

	snprintf(path, sizeof(path), "stats/%s", name);
	loop_attribute(strrchr(e->loop.guest, '/') + 1, path, value, sizeof(value));
	return strtoul(value, NULL, 10);
}

/* The guest says that it waits for data, and does not when it does not. */
TEST_F(peer, want_data)
{
	struct ends *e = &self->ends;
	uint64_t want = e->layout.h2g.want_data;

	EXPECT_EQ(0, ends_word(e, want));
	EXPECT_EQ(-1, read(e->guest, e->frame, 1));
	EXPECT_EQ(1, ends_word(e, want));
	ASSERT_EQ(1, write(e->host, "x", 1));
	EXPECT_EQ(1, read(e->guest, e->frame, 1));
	EXPECT_EQ(0, ends_word(e, want));
	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
	EXPECT_EQ(1, ends_word(e, want));
	close(e->guest);
	EXPECT_EQ(0, ends_word(e, want));
	e->guest = open(e->loop.guest, O_RDWR | O_NONBLOCK);
}

/* As much as the frame takes that was refused. */
TEST_F(peer, want_space)
{
	struct ends *e = &self->ends;
	uint64_t want = e->layout.g2h.want_space;

	EXPECT_EQ(0, ends_word(e, want));
	while (write(e->guest, e->frame, 1000) == 1000)
		;
	EXPECT_LE(1008, ends_word(e, want));
	EXPECT_GE(2 * 1008, ends_word(e, want));
	while (read(e->host, e->frame, e->frame_size) > 0)
		;
	EXPECT_EQ(1000, write(e->guest, e->frame, 1000));
	EXPECT_EQ(0, ends_word(e, want));
}

/* Who does not wait is not kicked. */
TEST_F(peer, kicks)
{
	struct ends *e = &self->ends;
	unsigned long sent = stat_of(e, "kicks_sent");
	unsigned long suppressed = stat_of(e, "kicks_suppressed");

	ASSERT_EQ(1, write(e->guest, "x", 1));
	EXPECT_EQ(sent, stat_of(e, "kicks_sent"));
	EXPECT_EQ(suppressed + 1, stat_of(e, "kicks_suppressed"));
	ends_drain(e);
	EXPECT_EQ(1, ends_word(e, e->layout.g2h.want_data));
	sent = stat_of(e, "kicks_sent");
	ASSERT_EQ(1, write(e->guest, "x", 1));
	EXPECT_EQ(sent + 1, stat_of(e, "kicks_sent"));
	EXPECT_EQ(0, ioctl(e->guest, KRING_IOC_KICK));
	EXPECT_EQ(sent + 2, stat_of(e, "kicks_sent"));
}

static void next_generation(struct ends *e)
{
	struct kring_header *h = (void *)ends_page(e, 0, PROT_READ | PROT_WRITE);

	h->generation = cpu_to_le64(le64_to_cpu(h->generation) + 1);
	munmap(h, e->layout.granule);
}

TEST_F(peer, generation)
{
	struct ends *e = &self->ends;
	struct kring_info info;

	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
	next_generation(e);
	EXPECT_EQ(POLLOUT | POLLPRI, ends_poll(e->guest, 0));
	EXPECT_EQ(POLLOUT | POLLPRI, ends_poll(e->guest, 0));
	ASSERT_EQ(0, ioctl(e->guest, KRING_IOC_INFO, &info));
	EXPECT_EQ(e->info.generation + 1, info.generation);
	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
	EXPECT_EQ(1, write(e->guest, "x", 1));
}

static void *make_generation(void *arg)
{
	usleep(100000);
	next_generation(arg);
	return NULL;
}

/* Nobody kicks for it: the slow timer finds it. */
TEST_F(peer, generation_wakes)
{
	struct ends *e = &self->ends;
	struct pollfd p = { .fd = e->guest, .events = POLLPRI };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, make_generation, e));
	EXPECT_EQ(1, poll(&p, 1, 10000));
	EXPECT_EQ(POLLPRI, p.revents);
	pthread_join(thread, NULL);
}

/* The guest's consumer is poisoned, its producer is not, and a reset mends what is mended. */
static void check_poison(struct __test_metadata *_metadata, struct ends *e, uint64_t at,
			 uint32_t value)
{
	uint32_t was = ends_corrupt(e, at, value);
	struct kring_info info;

	EXPECT_EQ(-1, read(e->guest, e->frame, e->frame_size));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(POLLERR | POLLOUT, ends_poll(e->guest, 0));
	ASSERT_EQ(0, ioctl(e->guest, KRING_IOC_INFO, &info));
	EXPECT_EQ(KRING_INFO_DOORBELL | KRING_INFO_H2G_POISONED, info.flags);
	EXPECT_EQ(value, ends_word(e, at));
	/* That it is right again does not mend it: somebody must have looked. */
	ends_corrupt(e, at, was);
	EXPECT_EQ(-1, read(e->guest, e->frame, e->frame_size));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(1, write(e->guest, "x", 1));
	EXPECT_EQ(1, read(e->host, e->frame, 1));
	EXPECT_EQ(0, ioctl(e->guest, KRING_IOC_RESET));
	ASSERT_EQ(0, ioctl(e->guest, KRING_IOC_INFO, &info));
	EXPECT_EQ(KRING_INFO_DOORBELL, info.flags);
}

TEST_F(peer, head_too_far)
{
	struct ends *e = &self->ends;
	uint64_t head = e->layout.h2g.head;

	check_poison(_metadata, e, head, ends_word(e, head) + e->layout.h2g.size + 8);
	EXPECT_EQ(-1, read(e->guest, e->frame, 1));
	EXPECT_EQ(EAGAIN, errno);
}

/* A frame that says it is longer than what was published, then longer than the ring. */
TEST_F(peer, length)
{
	static const uint32_t wrong[] = { 100, 0x20000, 0x7fffffff, 0xffffffff };
	struct ends *e = &self->ends;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint32_t head = ends_word(e, e->layout.h2g.head);

		ASSERT_EQ(5, write(e->host, "frame", 5));
		/* What has written cannot be mapped. */
		ASSERT_TRUE(ends_open_files(e));
		check_poison(_metadata, e,
			     e->layout.h2g.data + (head & (e->layout.h2g.size - 1)), wrong[i]);
		EXPECT_EQ(5, read(e->guest, e->frame, e->frame_size));
		ASSERT_TRUE(ends_open_files(e));
	}
}

/* The guest's own cursor, which the host has no business to write: another moment's region. */
TEST_F(peer, room_that_is_not)
{
	struct ends *e = &self->ends;
	uint64_t tail = e->layout.g2h.tail;
	uint32_t was = ends_corrupt(e, tail, ends_word(e, tail) + 64);

	while (write(e->guest, e->frame, 1000) == 1000)
		;
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(POLLERR, ends_poll(e->guest, 0) & POLLERR);
	ends_corrupt(e, tail, was);
	EXPECT_EQ(0, ioctl(e->guest, KRING_IOC_RESET));
}

/**
 * struct vandal - writes whatever it likes wherever the host may
 * @e: ends
 * @stop: when it is to stop
 */
struct vandal {
	struct ends *e;
	volatile bool stop;
};

static void *vandalize(void *arg)
{
	struct vandal *v = arg;
	const struct kring_layout *l = &v->e->layout;
	int rights = PROT_READ | PROT_WRITE;
	uint32_t *head = (void *)ends_page(v->e, l->h2g.head, rights);
	uint32_t *tail = (void *)ends_page(v->e, l->g2h.tail, rights);
	uint32_t *data = (void *)ends_page(v->e, l->h2g.data, rights);
	unsigned int seed = 1;

	while (!v->stop) {
		volatile uint32_t *page = seed & 0x1000 ? head : seed & 0x2000 ? tail : data;

		seed = seed * 1103515245 + 12345;
		/* Small ones are believed more often. */
		page[seed >> 16 & (page == data ? 0x3ff : 1)] = seed >> (seed >> 28);
	}
	munmap(head, l->granule);
	munmap(tail, l->granule);
	munmap(data, l->granule);
	return NULL;
}

static bool is_documented(int error)
{
	return error == EAGAIN || error == EBADMSG || error == EMSGSIZE;
}

/* Each call returns, with what the manual says. */
TEST_F(peer, vandal)
{
	struct ends *e = &self->ends;
	struct vandal v = { .e = e };
	unsigned int done = 0, errors = 0;
	struct timespec start, now;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, vandalize, &v));
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		if (read(e->guest, e->frame, e->frame_size) < 0) {
			ASSERT_TRUE(is_documented(errno));
			errors++;
		}
		if (write(e->guest, e->frame, 1 + done % 3000) < 0) {
			ASSERT_TRUE(is_documented(errno));
			errors++;
		}
		ASSERT_LE(0, ends_poll(e->guest, 0));
		if (ioctl(e->guest, KRING_IOC_RESET))
			ASSERT_EQ(EBADMSG, errno);
		done++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 3);
	v.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LT(100, done);
	EXPECT_LT(0, errors);
	TH_LOG("%u rounds, %u errors", done, errors);

	/* Both ends agree that nothing is in the rings, and all is well. */
	ends_corrupt(e, e->layout.h2g.head, ends_word(e, e->layout.h2g.tail));
	ends_corrupt(e, e->layout.g2h.tail, ends_word(e, e->layout.g2h.head));
	ASSERT_TRUE(ends_open_files(e));
	EXPECT_EQ(0, ioctl(e->guest, KRING_IOC_RESET));
	EXPECT_EQ(0, ioctl(e->host, KRING_IOC_RESET));
	EXPECT_EQ(1, write(e->guest, "x", 1));
	EXPECT_EQ(1, read(e->host, e->frame, e->frame_size));
}

TEST_HARNESS_MAIN
