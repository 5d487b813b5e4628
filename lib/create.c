// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Make a region.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_GRANULE	4096

/* The largest power of two of bytes that both rings can have. */
static uint64_t ring_size(uint64_t region_size, uint32_t granule)
{
	uint64_t size = granule;

	while (size < KRING_SIZE_MAX &&
	       granule + 2 * kring_extent_size(granule, 2 * size) <= region_size)
		size *= 2;
	return size;
}

/*
 * Fill in a header and check it by the rule that those who attach go by, so that there is
 * one rule. It is as they want to see it, READY.
 */
static int header_make(struct kring_header *h, uint64_t size,
		       const struct kring_create_args *args, struct kring_fault *fault)
{
	uint32_t granule = args && args->granule ? args->granule : DEFAULT_GRANULE;
	const char *name = args && args->name ? args->name : "default";
	uint64_t data = ring_size(size, granule);
	struct kring_layout layout;
	ssize_t n;

	memset(h, 0, sizeof(*h));
	h->magic = cpu_to_le32(KRING_MAGIC);
	h->version = cpu_to_le32(KRING_VERSION);
	h->state = cpu_to_le32(KRING_STATE_READY);
	h->granule = cpu_to_le32(granule);
	h->region_size = cpu_to_le64(size);
	h->generation = cpu_to_le64(1);
	memcpy(h->name, name, strnlen(name, sizeof(h->name)));
	h->h2g.offset = cpu_to_le64(granule);
	h->h2g.size = cpu_to_le64(data);
	h->g2h.offset = cpu_to_le64(granule + kring_extent_size(granule, data));
	h->g2h.size = cpu_to_le64(data);

	/* So few bytes come whole, unless a signal comes before there is any randomness. */
	do {
		n = getrandom(h->uuid, sizeof(h->uuid), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return kring_fault(fault, -errno, "uuid", 0, strerror(errno));
	/* RFC 9562, version 4: random */
	h->uuid[6] = (h->uuid[6] & 0x0f) | 0x40;
	h->uuid[8] = (h->uuid[8] & 0x3f) | 0x80;

	return kring_header_check(h, size, &layout, fault);
}

static void header_store(void *base, const struct kring_header *from)
{
	struct kring_header *to = base;
	struct kring_header h = *from;

	h.state = cpu_to_le32(KRING_STATE_INIT);
	memcpy(to, &h, sizeof(h));
	kring_store_release(&to->state, cpu_to_le32(KRING_STATE_READY));
}

int kring_format(void *base, uint64_t size, const struct kring_create_args *args,
		 struct kring_error *err)
{
	struct kring_fault fault;
	struct kring_header h;
	int code;

	code = header_make(&h, size, args, &fault);
	if (code)
		return kring_error_fault(err, code, NULL, &fault);
	header_store(base, &h);
	return 0;
}

/* The file's own name, while it has no other: what the kernel calls the open file. */
static void fd_path(int fd, char *buf, size_t size)
{
	snprintf(buf, size, "/proc/self/fd/%d", fd);
}

/*
 * A file in the directory of @path that nobody sees yet. @temp gets its name, which is
 * empty where the file system can do without one.
 */
static int temp_open(const char *path, char *temp, size_t size)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? slash - path + 1 : 0;
	int fd;

	if (snprintf(temp, size, "%.*s.kring.XXXXXX", dir_len, path) >= (int)size)
		return -ENAMETOOLONG;

	/* What is behind the directory's slash makes way for ".". */
	temp[dir_len + 1] = '\0';
	fd = open(temp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0) {
		temp[0] = '\0';
		return fd;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;

	temp[dir_len + 1] = 'k';
	fd = mkostemp(temp, O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* link() never replaces: whoever is there first stays, also when two try at a time. */
static int temp_link(int fd, const char *temp, const char *path)
{
	char self[32];

	if (temp[0])
		return link(temp, path) ? -errno : 0;
	fd_path(fd, self, sizeof(self));
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static int file_fill(int fd, const struct kring_header *h)
{
	uint64_t size = le64_to_cpu(h->region_size);
	void *base;

	if (ftruncate(fd, size))
		return -errno;
	/* Not write(), which hugetlbfs has not; and whole, as its pages are large. */
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	header_store(base, h);
	munmap(base, size);
	return 0;
}

int kring_create(const char *path, const struct kring_create_args *args,
		 struct kring_error *err)
{
	uint64_t size = args && args->size ? args->size : KRING_REGION_DEFAULT_SIZE;
	struct kring_fault fault;
	struct kring_header h;
	char temp[PATH_MAX];
	int fd, code;

	code = header_make(&h, size, args, &fault);
	if (!code && size & (le32_to_cpu(h.granule) - 1))
		code = kring_fault(&fault, -EINVAL, "region_size", size,
				   "not a multiple of the granule");
	if (!code && size > INT64_MAX)
		code = kring_fault(&fault, -EINVAL, "region_size", size,
				   "more than a file can have");
	if (code)
		return kring_error_fault(err, code, path, &fault);

	fd = temp_open(path, temp, sizeof(temp));
	if (fd < 0)
		return kring_error_path(err, fd, path, "%s", strerror(-fd));
	code = file_fill(fd, &h);
	if (!code)
		code = temp_link(fd, temp, path);
	if (code)
		kring_error_path(err, code, path, "%s", strerror(-code));
	if (temp[0])
		unlink(temp);
	close(fd);
	return code;
}
