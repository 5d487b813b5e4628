// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: what is in a directory of the guest's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "remote_list.h"

/**
 * struct listing - a request under way
 * @copy: run
 * @path: directory
 * @list: what has come
 * @code: how it has ended
 * @done: it has
 */
struct listing {
	struct copy *copy;
	const char *path;
	struct remote_list *list;
	int code;
	bool done;
};

static void listing_end(struct listing *listing, int code)
{
	listing->code = code;
	listing->done = true;
	if (listing->copy->waiting)
		client_stop(listing->copy->client);
}

/* A name that leads nowhere else. */
static bool name_ok(const ProtobufCBinaryData *name)
{
	if (!name->len || name->len > NAME_MAX || memchr(name->data, '/', name->len) ||
	    memchr(name->data, '\0', name->len))
		return false;
	return name->data[0] != '.' ||
	       (name->len > 1 && !(name->len == 2 && name->data[1] == '.'));
}

/* Two strings that malloc() adds something to. */
#define MALLOC_COST	48

static int list_add(struct remote_list *list, const Kring__FileInfo *info)
{
	size_t room = list->room ? list->room * 2 : 64;
	struct remote_entry *entry;

	size_t bytes = sizeof(*entry) + MALLOC_COST + info->name.len + info->target.len;

	list->bytes += bytes;
	list->copy->listed += bytes;
	if (list->count == REMOTE_LIST_MAX || list->copy->listed > REMOTE_LIST_BYTES)
		return -E2BIG;
	if (list->count == list->room) {
		entry = realloc(list->entries, room * sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		list->entries = entry;
		list->room = room;
	}
	entry = &list->entries[list->count];
	entry->info = *info;
	entry->name = copy_string(&info->name);
	entry->target = NULL;
	if (info->type == KRING__FILE_TYPE__SYMLINK)
		entry->target = copy_string(&info->target);
	/* They belong to the message. */
	memset(&entry->info.name, 0, sizeof(entry->info.name));
	memset(&entry->info.target, 0, sizeof(entry->info.target));
	entry->info.base.n_unknown_fields = 0;
	entry->info.base.unknown_fields = NULL;
	list->count++;
	return entry->name ? 0 : -ENOMEM;
}

static void on_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct listing *listing = kring_stream_owner(stream);
	Kring__FileInfo *info;
	int code = 0;

	info = kring_unpack(&kring__file_info__descriptor, message, len);
	if (!info)
		code = -EBADMSG;
	else if (!name_ok(&info->name))
		copy_fail(listing->copy, listing->path,
			  "the guest says there is a file whose name is none");
	else
		code = list_add(listing->list, info);
	kring_unpack_free(info);
	if (!code)
		return;
	copy_fail(listing->copy, listing->path, "%s", strerror(-code));
	kring_reset(stream, -code, "list", "%s at the host", strerror(-code));
	listing_end(listing, code);
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct listing *listing = kring_stream_owner(stream);

	(void)result;
	(void)len;
	kring_close(stream, NULL);
	listing_end(listing, 0);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct listing *listing = kring_stream_owner(stream);

	copy_refused(listing->copy, listing->path, error, len);
	listing_end(listing, -EIO);
}

static const struct kring_stream_ops list_ops = {
	.control = on_control,
	.closed = on_closed,
	.reset = on_reset,
};

int remote_list_read(struct copy *copy, const char *path, struct remote_list *list)
{
	struct listing listing = { .copy = copy, .path = path, .list = list };
	Kring__List request = KRING__LIST__INIT;
	struct kring_stream *stream;
	int code;

	memset(list, 0, sizeof(*list));
	list->copy = copy;
	request.path = copy_bytes(path);
	stream = kring_open(client_mux(copy->client), "list", &request.base, 0, &list_ops,
			    &listing);
	if (!stream) {
		copy_fail(copy, path, "%s", strerror(errno));
		return -errno;
	}
	code = copy_wait_for(copy, &listing.done);
	/* @listing goes out of scope here. */
	if (!listing.done)
		kring_reset(stream, ECANCELED, "list", "not wanted any more");
	return code ? code : listing.code;
}

void remote_list_free(struct remote_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		free(list->entries[i].name);
		free(list->entries[i].target);
	}
	free(list->entries);
	list->copy->listed -= list->bytes;
	memset(list, 0, sizeof(*list));
}
