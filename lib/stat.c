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

static int stat_word(const struct kring_region *region, uint64_t at, uint32_t *word,
		     struct kring_error *err)
{
	__le32 shared = 0;
	int code = 0;

	/* At 0 is the header: a field that the format does not have. */
	if (at)
		code = stat_pread(region, &shared, sizeof(shared), at, err);
	*word = le32_to_cpu(shared);
	return code;
}

/*
 * The cursors cannot be read both at once, and a ring in use moves on between the two
 * reads. Only when the tail was the same before and after the head was read is a strange
 * distance the ring's and not ours.
 */
static int stat_ring(const struct kring_region *region, const struct kring_place *place,
		     struct kring_ring_stat *st, struct kring_error *err)
{
	uint32_t align = region->layout.format == KRING_FORMAT_NATIVE ? KRING_FRAME_ALIGN : 1;
	uint32_t distance, after;
	int code, i;

	for (i = 0; i < TRIES; i++) {
		code = stat_word(region, place->tail, &st->tail, err);
		if (!code)
			code = stat_word(region, place->head, &st->head, err);
		if (!code)
			code = stat_word(region, place->tail, &after, err);
		if (code)
			return code;
		distance = st->head - st->tail;
		if (distance <= place->size || st->tail == after)
			break;
	}
	code = stat_word(region, place->want_space, &st->want_space, err);
	if (!code)
		code = stat_word(region, place->want_data, &st->want_data, err);
	if (code)
		return code;

	st->size = place->size;
	st->offset = place->head;
	st->corrupt = distance > place->size || (st->head | st->tail) & (align - 1);
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
	if (st->layout.format == KRING_FORMAT_NATIVE) {
		st->generation = le64_to_cpu(region.header.native.generation);
		st->restored = le64_to_cpu(region.header.native.restored);
		st->features = le64_to_cpu(region.header.native.features);
		memcpy(st->uuid, region.header.native.uuid, sizeof(st->uuid));
	}
	st->owner = kring_owner_find(region.fd);
	code = stat_ring(&region, &st->layout.h2g, &st->h2g, err);
	if (!code)
		code = stat_ring(&region, &st->layout.g2h, &st->g2h, err);

close_region:
	kring_region_close(&region);
	return code;
}
