/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Both ends of one region, opened. The host's may do as it likes, as a hostile host would.
 */
#ifndef KRING_ENDS_H
#define KRING_ENDS_H

#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <kring/region.h>

#include "loop.h"

#define ENDS_DRIVER	"/sys/bus/platform/drivers/kring_loop"

/**
 * struct ends - both ends of a region
 * @number: of the region
 * @loop: paths of its devices
 * @guest: the guest's end, open for both, O_NONBLOCK
 * @host: the host's, likewise
 * @layout: of the region
 * @info: of the guest's end
 * @frame: as many bytes as a ring has, more than any frame
 * @frame_size: its bytes
 */
struct ends {
	unsigned int number;
	struct loop loop;
	int guest;
	int host;
	struct kring_layout layout;
	struct kring_info info;
	char *frame;
	size_t frame_size;
};

/* Opens the files, anew when they are open: nothing is used yet, then. Return: whether. */
static inline bool ends_open_files(struct ends *e)
{
	close(e->guest);
	close(e->host);
	e->guest = open(e->loop.guest, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	e->host = open(e->loop.host, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return e->guest >= 0 && e->host >= 0;
}

/* Opens both. Return: whether that was possible; the reason is printed. */
static inline bool ends_open(struct ends *e, unsigned int number)
{
	union kring_any_header *header;
	struct kring_fault fault;
	int err;

	*e = (struct ends){ .number = number, .guest = -1, .host = -1 };
	if (loop_find(&e->loop, number))
		return false;
	if (!ends_open_files(e) || ioctl(e->guest, KRING_IOC_INFO, &e->info)) {
		printf("# open: %s\n", strerror(errno));
		return false;
	}
	header = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, e->host, 0);
	if (header == MAP_FAILED) {
		printf("# mmap: %s\n", strerror(errno));
		return false;
	}
	err = kring_header_check(header, UINT32_MAX, &e->layout, &fault);
	munmap(header, getpagesize());
	e->frame_size = e->info.g2h_size;
	e->frame = calloc(1, e->frame_size);
	return !err && e->frame;
}

/* What is in the rings goes, so that the next test finds them empty. */
static inline void ends_drain(struct ends *e)
{
	while (read(e->guest, e->frame, e->frame_size) > 0)
		;
	while (read(e->host, e->frame, e->frame_size) > 0)
		;
}

static inline void ends_close(struct ends *e)
{
	/* The device's nodes may be others by now, and what was mapped could not be read. */
	if (!loop_find(&e->loop, e->number) && ends_open_files(e))
		ends_drain(e);
	close(e->guest);
	close(e->host);
	free(e->frame);
}

/* Whether a call on @fd waits. */
static inline void ends_block(int fd, bool on)
{
	fcntl(fd, F_SETFL, on ? 0 : O_NONBLOCK);
}

/* What poll() says at once, of all that it may say. */
static inline int ends_poll(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	return poll(&p, 1, timeout) < 0 ? -1 : p.revents;
}

/* Write to an attribute of the driver, for this region's device. */
static inline void ends_driver(const struct ends *e, const char *attribute)
{
	char path[128], device[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), ENDS_DRIVER "/%s", attribute);
	len = snprintf(device, sizeof(device), "kring_loop.%u", e->number);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, device, len) != len)
		printf("# %s: %s: %s\n", path, device, strerror(errno));
	close(fd);
}

/* The device goes, with its files open. */
static inline void ends_unplug(const struct ends *e)
{
	ends_driver(e, "unbind");
}

static inline void ends_plug(const struct ends *e)
{
	ends_driver(e, "bind");
}

/* The page of the region with @offset in it, mapped for the host's end; NULL: refused. */
static inline char *ends_page(const struct ends *e, uint64_t offset, int rights)
{
	char *at = mmap(NULL, e->layout.granule, rights, MAP_SHARED, e->host,
			offset / e->layout.granule * e->layout.granule);

	return at == MAP_FAILED ? NULL : at;
}

/* The word at @offset, as it is in the region now. */
static inline uint32_t ends_word(const struct ends *e, uint64_t offset)
{
	char *at = ends_page(e, offset, PROT_READ);
	uint32_t value = 0;

	if (!at)
		return -1;
	value = *(volatile uint32_t *)(at + offset % e->layout.granule);
	munmap(at, e->layout.granule);
	return value;
}

/* What a hostile host writes there. Return: what was there. */
static inline uint32_t ends_corrupt(const struct ends *e, uint64_t offset, uint32_t value)
{
	char *at = ends_page(e, offset, PROT_READ | PROT_WRITE);
	volatile uint32_t *word;
	uint32_t was;

	if (!at) {
		printf("# cannot write at %llu: %s\n", (unsigned long long)offset,
		       strerror(errno));
		return 0;
	}
	word = (volatile uint32_t *)(at + offset % e->layout.granule);
	was = *word;
	*word = value;
	munmap(at, e->layout.granule);
	return was;
}

#endif /* KRING_ENDS_H */
