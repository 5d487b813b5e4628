// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Extents of a file transfer, at the receiving end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "extents.h"
#include "message.h"

/*
 * A sender announces an extent when it has room for its bytes, so no more of them are open
 * than blocks in the largest window anybody would configure.
 */
#define EXTENTS_MAX	16384

static int make_room(struct kring_extents *extents)
{
	size_t room = extents->room ? extents->room * 2 : 8;
	struct kring_file_extent *list;

	if (extents->first) {
		memmove(extents->list, extents->list + extents->first,
			extents->count * sizeof(*list));
		extents->first = 0;
	}
	if (extents->count < extents->room)
		return 0;
	if (extents->count >= EXTENTS_MAX)
		return -ENOBUFS;
	list = realloc(extents->list, room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	extents->list = list;
	extents->room = room;
	return 0;
}

static int add(struct kring_extents *extents, uint64_t offset, uint64_t length)
{
	struct kring_file_extent *last;
	int code;

	if (!length || offset < extents->end || offset > INT64_MAX ||
	    length > INT64_MAX - offset)
		return -EPROTO;

	if (extents->count && offset == extents->end) {
		last = &extents->list[extents->first + extents->count - 1];
		last->length += length;
	} else {
		if (extents->first + extents->count == extents->room) {
			code = make_room(extents);
			if (code)
				return code;
		}
		last = &extents->list[extents->first + extents->count++];
		last->offset = offset;
		last->length = length;
	}
	extents->end = offset + length;
	return 0;
}

int kring_extents_add(struct kring_extents *extents, const void *message, size_t len)
{
	Kring__Extent *extent = kring_unpack(&kring__extent__descriptor, message, len);
	int code;

	if (!extent)
		return -EPROTO;
	code = add(extents, extent->offset, extent->length);
	kring_unpack_free(extent);
	return code;
}

uint64_t kring_extents_next(const struct kring_extents *extents, uint64_t *offset)
{
	if (!extents->count)
		return 0;
	*offset = extents->list[extents->first].offset;
	return extents->list[extents->first].length;
}

void kring_extents_advance(struct kring_extents *extents, uint64_t len)
{
	struct kring_file_extent *extent = &extents->list[extents->first];

	extent->offset += len;
	extent->length -= len;
	if (extent->length)
		return;
	extents->first++;
	extents->count--;
	if (!extents->count)
		extents->first = 0;
}

void kring_extents_free(struct kring_extents *extents)
{
	free(extents->list);
	memset(extents, 0, sizeof(*extents));
}
