/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Mappings of /dev/kring, for the programs that test them.
 */
#ifndef KRING_MAPPED_H
#define KRING_MAPPED_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <kring/region.h>

#include <tap.h>

#define PAGE	4096

#define RO	PROT_READ
#define RW	(PROT_READ | PROT_WRITE)

static struct kring_layout layout;

static struct iovec mapped[16];
static unsigned int mapped_count;

static inline void *map(int fd, int prot, uint64_t offset, size_t size)
{
	return mmap(NULL, size, prot, MAP_SHARED, fd, offset);
}

/* A mapping keeps its file open: all that were made until must_close() go with it. */
static inline void *must_map(int fd, int prot, uint64_t offset, size_t size)
{
	void *at = map(fd, prot, offset, size);

	must(at != MAP_FAILED && mapped_count < ARRAY_SIZE(mapped));
	mapped[mapped_count++] = (struct iovec){ at, size };
	return at;
}

static inline int must_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	must(fd >= 0);
	return fd;
}

static inline void must_close(int fd)
{
	while (mapped_count--)
		must(!munmap(mapped[mapped_count].iov_base, mapped[mapped_count].iov_len));
	mapped_count = 0;
	must(!close(fd));
}

/* The whole region, to look at. */
static inline void *map_all(int fd)
{
	union kring_any_header *h = must_map(fd, RO, 0, PAGE);
	struct kring_fault fault;

	must(!kring_header_check(h, UINT32_MAX, &layout, &fault));
	return must_map(fd, RO, 0, layout.region_size);
}

/* What a file that reads owns of h2g. */
static inline void own_h2g(int fd, struct kring_ring *r)
{
	struct kring_consumer_page *own = must_map(fd, RW, layout.h2g.tail, PAGE);

	r->tail = &own->tail;
	r->want_data = &own->want_data;
}

/* What a file that writes owns of g2h. */
static inline void own_g2h(int fd, struct kring_ring *r)
{
	struct kring_producer_page *own = must_map(fd, RW, layout.g2h.head, PAGE);

	r->head = &own->head;
	r->want_space = &own->want_space;
	r->data = must_map(fd, RW, layout.g2h.data, layout.g2h.size);
}

#endif /* KRING_MAPPED_H */
