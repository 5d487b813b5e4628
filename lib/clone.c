// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A region for a restored VM, from what was saved of the first one's.
 *
 * What was saved stays as it is, to be restored again. The copy takes the place of what is
 * at its path: who has that open keeps the old file, and is fenced.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* At a time, where the kernel cannot copy by itself. */
#define CHUNK	65536

/* hugetlbfs has no write(), and other files must not be mapped: a full disk would kill us. */
static int write_mapped(int fd, const void *buf, size_t len, off_t at)
{
	struct stat st;
	char *base;

	if (fstat(fd, &st))
		return -errno;
	base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	memcpy(base + at, buf, len);
	munmap(base, st.st_size);
	return 0;
}

static int write_all(int fd, const void *buf, size_t len, off_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(fd, (const char *)buf + done, len - done, at + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EINVAL || errno == EOPNOTSUPP))
			return write_mapped(fd, (const char *)buf + done, len - done, at + done);
		if (n <= 0)
			return n ? -errno : -EIO;
		done += n;
	}
	return 0;
}

static int copy_by_hand(int from, int to, off_t at, off_t end)
{
	char buf[CHUNK];
	ssize_t n;
	int code;

	while (at < end) {
		n = pread(from, buf, end - at < CHUNK ? end - at : CHUNK, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		code = write_all(to, buf, n, at);
		if (code)
			return code;
		at += n;
	}
	return 0;
}

/* By the kernel, which shares the blocks where the file system can. */
static int copy_range(int from, int to, off_t at, off_t end)
{
	off_t in = at, out = at;
	ssize_t n;

	while (in < end) {
		n = copy_file_range(from, &in, to, &out, end - in, 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* Between two file systems, or within one that cannot: it says so at once. */
		if (n <= 0)
			return copy_by_hand(from, to, in, end);
	}
	return 0;
}

/*
 * In ascending order: a ring's cursors lie before its data. So, should the host's end be in
 * use while the guest is paused, all that is between the copied cursors is in the copied
 * data, as the host writes to the rest only.
 */
static int copy_file(int from, int to, off_t size)
{
	off_t data = 0, hole;
	int code;

	if (ftruncate(to, size))
		return -errno;
	while (data < size) {
		data = lseek(from, data, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? size : lseek(from, data, SEEK_HOLE);
		/* It does not know of holes. */
		if (data < 0)
			data = 0;
		if (hole < 0 || hole > size)
			hole = size;
		code = copy_range(from, to, data, hole);
		if (code)
			return code;
		data = hole;
	}
	return 0;
}

/* Not what was copied, which may have changed after it was checked. */
static int header_restored(struct kring_header *h, bool fork)
{
	uint64_t generation = le64_to_cpu(READ_ONCE(h->generation)) + 1;

	WRITE_ONCE(h->generation, cpu_to_le64(generation));
	h->restored = cpu_to_le64(generation);
	return fork ? kring_uuid_make(h->uuid) : 0;
}

static int clone_fill(int to, struct kring_region *from, bool fork)
{
	struct kring_header *h = &from->header.native;
	struct stat st;
	int code;

	if (fstat(from->fd, &st))
		return -errno;
	/* It was as long as its header says a moment ago. */
	if ((uint64_t)st.st_size < from->layout.region_size)
		return -EIO;
	code = copy_file(from->fd, to, st.st_size);
	if (code || from->layout.format != KRING_FORMAT_NATIVE)
		return code;
	code = header_restored(h, fork);
	return code ? code : write_all(to, h, sizeof(*h), 0);
}

int kring_clone(const char *from, const char *to, const struct kring_clone_args *args,
		struct kring_error *err)
{
	static const struct kring_clone_args defaults;
	struct kring_region region;
	struct kring_temp temp;
	int code;

	if (!args)
		args = &defaults;
	code = kring_region_open(&region, from, O_RDONLY, err);
	if (code)
		return code;
	if (!args->force) {
		code = kring_owner_lock(region.fd, LOCK_SH, from, err);
		if (code)
			goto close_region;
	}
	code = kring_region_load(&region, err);
	if (code)
		goto close_region;

	code = kring_temp_open(&temp, to);
	if (code) {
		kring_error_path(err, code, to, "%s", strerror(-code));
		goto close_region;
	}
	code = clone_fill(temp.fd, &region, args->fork);
	if (!code)
		code = kring_temp_rename(&temp);
	if (code)
		kring_error_path(err, code, to, "%s", strerror(-code));
	kring_temp_close(&temp);

close_region:
	if (!args->force)
		kring_owner_unlock(region.fd);
	kring_region_close(&region);
	return code;
}
