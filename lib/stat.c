// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A look at a region without touching it: neither mapped nor locked, so a file that is
 * truncated meanwhile, or is another VM's, does no harm.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

/* How often to look again at cursors that move while they are read. */
#define TRIES	1000

static int stat_pread(const struct kring_region *region, void *buf, size_t len, uint64_t at,
		      struct kring_error *err)
{
	ssize_t n = pread(region->fd, buf, len, at);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (n < 0)
		return kring_error_path(err, -errno, region->path, "%s", strerror(errno));
	if ((size_t)n != len)
		return kring_error_path(err, -EIO, region->path, "truncated just now");
	return 0;
}

/*
 * The cursors cannot be read both at once, and a ring in use moves on between the two
 * reads. Only when the tail was the same before and after the head was read is a strange
 * distance the ring's and not ours.
 */
static int stat_ring(const struct kring_region *region, uint64_t offset, uint32_t size,
		     struct kring_ring_stat *st, struct kring_error *err)
{
	uint64_t consumer_at = offset + region->layout.granule;
	struct kring_consumer_page consumer, after;
	struct kring_producer_page producer;
	uint32_t distance;
	int code, i;

	for (i = 0; i < TRIES; i++) {
		code = stat_pread(region, &consumer, sizeof(consumer), consumer_at, err);
		if (!code)
			code = stat_pread(region, &producer, sizeof(producer), offset, err);
		if (!code)
			code = stat_pread(region, &after, sizeof(after), consumer_at, err);
		if (code)
			return code;
		distance = le32_to_cpu(producer.head) - le32_to_cpu(consumer.tail);
		if (distance <= size || consumer.tail == after.tail)
			break;
	}

	st->size = size;
	st->offset = offset;
	st->head = le32_to_cpu(producer.head);
	st->tail = le32_to_cpu(consumer.tail);
	st->want_space = le32_to_cpu(producer.want_space);
	st->want_data = le32_to_cpu(consumer.want_data);
	st->corrupt = distance > size || (st->head | st->tail) & (KRING_FRAME_ALIGN - 1);
	st->in_flight = st->corrupt ? 0 : distance;
	return 0;
}

int kring_stat(const char *path, struct kring_stat *st, struct kring_error *err)
{
	struct kring_region region;
	int code;

	code = kring_region_open(&region, path, O_RDONLY, err);
	if (code)
		return code;
	code = kring_region_load(&region, err);
	if (code)
		goto close_region;

	memset(st, 0, sizeof(*st));
	st->layout = region.layout;
	st->generation = le64_to_cpu(region.header.generation);
	st->features = le64_to_cpu(region.header.features);
	memcpy(st->uuid, region.header.uuid, sizeof(st->uuid));
	st->owner = kring_owner_find(region.fd);
	code = stat_ring(&region, st->layout.h2g_offset, st->layout.h2g_size, &st->h2g, err);
	if (!code)
		code = stat_ring(&region, st->layout.g2h_offset, st->layout.g2h_size, &st->g2h,
				 err);

close_region:
	kring_region_close(&region);
	return code;
}
