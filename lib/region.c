// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A region's file: open it, check its header, map it.
 *
 * The guest can write the header too, at any time. So it is copied once, and only the
 * copy is checked and used from then on: where the rings are is never read again.
 *
 * Whoever can write the file can also truncate it, and then an access to the mapping
 * raises SIGBUS. The guest cannot do that, it has the memory and not the file; who else
 * is given the file must be trusted that far.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/**
 * kring_region_open() - open the file that holds a region
 * @region: to fill; kring_region_close() it on success
 * @path: stays the caller's, and must stay as long as @region
 * @access: O_RDONLY or O_RDWR
 * @err: filled on failure
 */
int kring_region_open(struct kring_region *region, const char *path, int access,
		      struct kring_error *err)
{
	struct stat st;
	int fd, code;

	/* O_NONBLOCK: a FIFO is to be refused, not waited for. */
	fd = open(path, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return kring_error_path(err, -errno, path, "%s", strerror(errno));

	if (fstat(fd, &st)) {
		code = kring_error_path(err, -errno, path, "%s", strerror(errno));
		goto close_fd;
	}
	if (!S_ISREG(st.st_mode)) {
		code = kring_error_path(err, -EINVAL, path, "not a regular file");
		goto close_fd;
	}

	memset(region, 0, sizeof(*region));
	region->fd = fd;
	region->path = path;
	return 0;

close_fd:
	close(fd);
	return code;
}

static int region_pread(const struct kring_region *region, void *buf, size_t len, off_t at)
{
	ssize_t n = pread(region->fd, buf, len, at);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/**
 * kring_region_load() - take a private copy of the header, and check it
 * @region: open; gets the copy and the layout
 * @err: filled on failure
 */
int kring_region_load(struct kring_region *region, struct kring_error *err)
{
	union kring_any_header before, *h = &region->header;
	struct kring_fault fault;
	struct stat st;
	int code;

	if (fstat(region->fd, &st))
		return kring_error_path(err, -errno, region->path, "%s", strerror(errno));
	if (!st.st_size)
		return kring_error_path(err, -EINVAL, region->path,
					"an empty file, not a kring region");

	if ((__u64)st.st_size >= sizeof(*h)) {
		code = region_pread(region, &before, sizeof(before), 0);
		/* Pairs with the release of READY by whoever made the region. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!code)
			code = region_pread(region, h, sizeof(*h), 0);
		if (code)
			return kring_error_path(err, code, region->path, "header: %s",
						strerror(-code));
		kring_header_settle(h, &before);
	}

	code = kring_header_check(h, st.st_size, &region->layout, &fault);
	if (code)
		return kring_error_fault(err, code, region->path, &fault);
	return 0;
}

/**
 * kring_region_map() - map a loaded region for reading and writing
 * @region: gets the address
 * @err: filled on failure
 */
int kring_region_map(struct kring_region *region, struct kring_error *err)
{
	void *base = mmap(NULL, region->layout.region_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  region->fd, 0);

	if (base == MAP_FAILED)
		return kring_error_path(err, -errno, region->path, "mmap: %s", strerror(errno));
	region->base = base;
	return 0;
}

/** kring_region_close() - unmap and close */
void kring_region_close(struct kring_region *region)
{
	if (region->base)
		munmap(region->base, region->layout.region_size);
	close(region->fd);
}
