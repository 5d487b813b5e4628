// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Mappings of the region: who may write what, and frames without a system call.
 */
#include <signal.h>
#include <sys/wait.h>

#include <kring/ring.h>

#include "../kselftest_harness.h"
#include "ends.h"

#define RO	PROT_READ
#define RW	(PROT_READ | PROT_WRITE)

FIXTURE(mapping) {
	struct ends ends;
	size_t page;
};

FIXTURE_SETUP(mapping)
{
	ASSERT_TRUE(ends_open(&self->ends, 0));
	self->page = self->ends.layout.granule;
}

FIXTURE_TEARDOWN(mapping)
{
	ends_close(&self->ends);
}

/* Whether [@offset, @offset + @size) can be mapped; it is not, then. */
static bool mappable(int fd, int rights, uint64_t offset, size_t size)
{
	void *at = mmap(NULL, size, rights, MAP_SHARED, fd, offset);

	if (at != MAP_FAILED)
		munmap(at, size);
	return at != MAP_FAILED;
}

/* Each part of a ring: the producer's page, the consumer's, all of its data. */
static void check_ring(struct __test_metadata *_metadata, int fd, const struct kring_place *p,
		       size_t page, bool producer)
{
	EXPECT_EQ(producer, mappable(fd, RW, p->head, page));
	EXPECT_EQ(!producer, mappable(fd, RW, p->tail, page));
	EXPECT_EQ(producer, mappable(fd, RW, p->data, p->size));
	EXPECT_EQ(producer, mappable(fd, RW, p->data + p->size - page, page));
	EXPECT_TRUE(mappable(fd, RO, p->head, 2 * page + p->size));
	/* Parts, and what is between them. */
	EXPECT_FALSE(mappable(fd, RW, p->head, 2 * page));
	EXPECT_FALSE(mappable(fd, RW, p->tail, 2 * page));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(mapping, rights)
{
	struct ends *e = &self->ends;

	check_ring(_metadata, e->guest, &e->layout.h2g, self->page, false);
	check_ring(_metadata, e->guest, &e->layout.g2h, self->page, true);
	check_ring(_metadata, e->host, &e->layout.h2g, self->page, true);
	check_ring(_metadata, e->host, &e->layout.g2h, self->page, false);
	EXPECT_FALSE(mappable(e->guest, RW, 0, self->page));
	EXPECT_TRUE(mappable(e->host, RW, 0, self->page));
	EXPECT_TRUE(mappable(e->guest, RO, 0, e->layout.region_size));
}

TEST_F(mapping, stays_read_only)
{
	char *at = mmap(NULL, self->page, RO, MAP_SHARED, self->ends.guest, 0);

	ASSERT_NE(MAP_FAILED, (void *)at);
	EXPECT_EQ(-1, mprotect(at, self->page, RW));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(at, self->page, RO | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mremap(at, self->page, 2 * self->page, MREMAP_MAYMOVE));
	munmap(at, self->page);
}

TEST_F(mapping, shows_the_header)
{
	const struct kring_header *h = mmap(NULL, self->page, RO, MAP_SHARED, self->ends.guest, 0);

	ASSERT_NE(MAP_FAILED, (void *)h);
	EXPECT_EQ(KRING_MAGIC, le32_to_cpu(h->magic));
	EXPECT_STREQ("loop0", (const char *)h->name);
	EXPECT_EQ(0, memcmp(h->uuid, self->ends.info.uuid, KRING_UUID_LEN));
	munmap((void *)h, self->page);
}

/* Each direction by itself; a mapping prolongs the use of a closed file. */
TEST_F(mapping, first_use_decides)
{
	struct ends *e = &self->ends;
	char *at;

	EXPECT_EQ(1, write(e->guest, "x", 1));
	EXPECT_FALSE(mappable(e->guest, RW, e->layout.g2h.head, self->page));
	EXPECT_EQ(EBUSY, errno);
	at = mmap(NULL, self->page, RW, MAP_SHARED, e->guest, e->layout.h2g.tail);
	ASSERT_NE(MAP_FAILED, (void *)at);
	EXPECT_EQ(-1, read(e->guest, e->frame, 1));
	EXPECT_EQ(EBUSY, errno);
	close(e->guest);
	e->guest = open(e->loop.guest, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(-1, e->guest);
	EXPECT_EQ(EBUSY, errno);
	munmap(at, self->page);
	e->guest = open(e->loop.guest, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, e->guest);
	EXPECT_EQ(-1, read(e->guest, e->frame, 1));
	EXPECT_EQ(EAGAIN, errno);
}

/* A child has it, too; when that ends, nothing changes for the parent. */
TEST_F(mapping, forked)
{
	struct ends *e = &self->ends;
	volatile uint32_t *head;
	int status;
	char *at;
	pid_t child;

	at = mmap(NULL, e->layout.region_size, RO, MAP_SHARED, e->guest, 0);
	ASSERT_NE(MAP_FAILED, (void *)at);
	head = (uint32_t *)(at + e->layout.h2g.head);
	child = fork();
	if (!child) {
		uint32_t was = *head;

		_exit(write(e->host, "x", 1) == 1 && *head == was + 16 ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, read(e->guest, e->frame, 1));
	EXPECT_EQ(*(volatile uint32_t *)(at + e->layout.h2g.tail), *head);
	munmap(at, e->layout.region_size);
}

/* All of the region, with own parts writable. */
static char *map_end(const struct ends *e, int fd, const struct kring_place *in,
		     const struct kring_place *out)
{
	size_t page = e->layout.granule;
	char *base = mmap(NULL, e->layout.region_size, RO, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED ||
	    mmap(base + in->tail, page, RW, MAP_SHARED | MAP_FIXED, fd, in->tail) == MAP_FAILED ||
	    mmap(base + out->head, page, RW, MAP_SHARED | MAP_FIXED, fd, out->head) == MAP_FAILED ||
	    mmap(base + out->data, out->size, RW, MAP_SHARED | MAP_FIXED, fd, out->data) ==
		MAP_FAILED)
		return NULL;
	return base;
}

/* The guest by <kring/ring.h>, the host by read() and write(). */
TEST_F(mapping, frames)
{
	struct ends *e = &self->ends;
	struct kring_ring h2g, g2h;
	struct kring_producer p;
	struct kring_consumer c;
	struct kring_frame f;
	unsigned int i;
	char *base;

	base = map_end(e, e->guest, &e->layout.h2g, &e->layout.g2h);
	ASSERT_NE(NULL, base);
	kring_layout_rings(&e->layout, base, &h2g, &g2h);
	ASSERT_EQ(0, kring_producer_attach(&p, &g2h));
	ASSERT_EQ(0, kring_consumer_attach(&c, &h2g));
	EXPECT_EQ(POLLOUT, ends_poll(e->guest, 0));
	for (i = 0; i < 5000; i++) {
		uint32_t len = 1 + i * 2654435761U % 5000;

		ASSERT_EQ(0, kring_reserve(&p, len, &f));
		memset(f.payload, i, len);
		kring_commit(&p, &f);
		if (kring_submit(&p))
			ioctl(e->guest, KRING_IOC_KICK);
		ASSERT_EQ((ssize_t)len, read(e->host, e->frame, e->frame_size));
		ASSERT_EQ((char)i, e->frame[len - 1]);
		ASSERT_EQ((ssize_t)len, write(e->host, e->frame, len));
		ASSERT_EQ(POLLIN | POLLOUT, ends_poll(e->guest, 0));
		ASSERT_EQ(0, kring_peek(&c, &f));
		ASSERT_EQ(len, f.len);
		ASSERT_EQ(0, memcmp(f.payload, e->frame, len));
		kring_advance(&c, &f);
		if (kring_release(&c))
			ioctl(e->guest, KRING_IOC_KICK);
	}
	munmap(base, e->layout.region_size);
}

/* Announced, then asleep: the host's write wakes who polls a mapping. */
TEST_F(mapping, sleeps)
{
	struct ends *e = &self->ends;
	struct kring_ring h2g, g2h;
	struct pollfd in = { .fd = e->guest, .events = POLLIN };
	struct kring_consumer c;
	char *base;
	pid_t child;

	base = map_end(e, e->guest, &e->layout.h2g, &e->layout.g2h);
	ASSERT_NE(NULL, base);
	kring_layout_rings(&e->layout, base, &h2g, &g2h);
	ASSERT_EQ(0, kring_consumer_attach(&c, &h2g));
	ASSERT_FALSE(kring_want_data(&c));
	child = fork();
	if (!child) {
		usleep(100000);
		_exit(write(e->host, "x", 1) != 1);
	}
	EXPECT_EQ(1, poll(&in, 1, 10000));
	EXPECT_EQ(POLLIN, in.revents);
	EXPECT_TRUE(kring_readable(&c));
	waitpid(child, NULL, 0);
	munmap(base, e->layout.region_size);
}

TEST_HARNESS_MAIN
