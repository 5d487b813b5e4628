// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: one file from the guest.
 *
 * It is written to a temporary file beside its place, and takes its name when it is whole
 * and on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "copy.h"
#include "copy_sink.h"

/**
 * struct get - one transfer
 * @copy: run
 * @stream: stream
 * @sink: where the bytes go to
 * @from: path in the guest, for messages
 * @place: directory that it goes to; NULL: stdout
 * @name: in that directory
 * @to: both, for messages
 * @counted: bytes that the progress knows of
 * @listed: so does it know of the file
 * @accepted: the guest has begun
 * @size: of the file, when the guest opened it; before, when it was looked for
 * @mtime: of it, then
 */
struct get {
	struct copy *copy;
	struct kring_stream *stream;
	struct copy_sink sink;
	char *from;
	struct place *place;
	char *name;
	char *to;
	uint64_t counted;
	bool listed;
	bool accepted;
	uint64_t size;
	int64_t mtime;
};

static void get_count(struct get *get, uint64_t position)
{
	if (position <= get->counted)
		return;
	get->copy->progress.done += position - get->counted;
	get->counted = position;
}

static void get_free(struct get *get)
{
	struct copy *copy = get->copy;

	copy_sink_close(&get->sink);
	place_put(get->place);
	free(get->from);
	free(get->name);
	free(get->to);
	free(get);
	copy->progress.files_done++;
	copy_end(copy);
}

/* @path: the file here or the one there, whichever is to blame. */
static void get_fail(struct get *get, const char *path, int code, const char *why)
{
	copy_fail(get->copy, path, "%s", why);
	kring_reset(get->stream, -code, "write", "%s at the host", why);
	get_free(get);
}

static void on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct get *get = kring_stream_owner(stream);
	Kring__FileInfo *info;

	info = kring_unpack_accept(&kring__file_info__descriptor, reply, len);
	if (!info || info->size > INT64_MAX) {
		kring_unpack_free(info);
		get_fail(get, get->from, -EPROTO, "the guest's answer makes no sense");
		return;
	}
	/* What has arrived before is of another version. */
	if (get->sink.position && (info->size != get->size || info->mtime != get->mtime)) {
		kring_unpack_free(info);
		get_fail(get, get->from, -ESTALE, "it has just changed: copy it again");
		return;
	}
	get->accepted = true;
	get->size = info->size;
	get->mtime = info->mtime;
	copy_attributes(get->copy, &get->sink.attributes,
			get->copy->owner ? info->mode : info->mode & ~get->copy->umask,
			info->uid, info->gid, info->mtime);
	if (!get->listed)
		progress_file(&get->copy->progress, get->from, info->size);
	kring_unpack_free(info);
	get_count(get, get->sink.position);
}

/* What has come goes to the disk, as far as it is known where to. */
static void get_step(struct get *get)
{
	const void *at;
	size_t len;
	int n;

	while ((len = kring_stream_peek(get->stream, 0, &at))) {
		n = copy_sink_write(&get->sink, at, len);
		if (n < 0) {
			get_fail(get, get->to, n, strerror(-n));
			return;
		}
		if (!n)
			return;
		kring_stream_consume(get->stream, 0, n);
		get_count(get, get->sink.position);
	}
}

static void on_readable(struct kring_stream *stream, unsigned int channel)
{
	if (!channel)
		get_step(kring_stream_owner(stream));
}

static void on_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct get *get = kring_stream_owner(stream);
	int code = kring_extents_add(&get->sink.extents, message, len);

	if (!code && get->size && get->sink.extents.end > get->size)
		code = -EPROTO;
	if (code)
		get_fail(get, get->from, code, "the guest has sent a strange extent");
	else
		get_step(get);
}

/*
 * How long the file is: as long as when it was opened, also where it ends in a hole; unless
 * its size says nothing, as that of files in /proc and /sys.
 */
static uint64_t final_size(const struct get *get, const Kring__FileInfo *info)
{
	uint64_t size = info->size < get->size ? info->size : get->size;

	return size > get->sink.position ? size : get->sink.position;
}

static int get_finish(struct get *get, const Kring__Transferred *end, const char **why)
{
	if (!get->accepted || !end || !end->info || end->bytes != get->sink.bytes ||
	    get->sink.extents.count) {
		*why = "the guest has not sent all of it";
		return -EPROTO;
	}
	return copy_sink_finish(&get->sink, get->name, final_size(get, end->info), why);
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct get *get = kring_stream_owner(stream);
	Kring__Transferred *end;
	const char *why = NULL;
	int code;

	end = kring_unpack_close(&kring__transferred__descriptor, result, len);
	code = get_finish(get, end, &why);
	kring_close(stream, NULL);
	if (code == -EPROTO)
		copy_fail(get->copy, get->from, "%s", why);
	else if (code)
		copy_fail(get->copy, get->to, "%s%s%s", why ? why : "", why ? ": " : "",
			  strerror(-code));
	else if (get->size && (end->info->size != get->size || end->info->mtime != get->mtime))
		copy_notice(get->copy, get->from, "changed while it was copied");
	kring_unpack_free(end);
	get_count(get, get->size);
	get_free(get);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct get *get = kring_stream_owner(stream);

	copy_refused(get->copy, get->from, error, len);
	get_free(get);
}

static const struct kring_stream_ops get_ops = {
	.accepted = on_accepted,
	.readable = on_readable,
	.control = on_control,
	.closed = on_closed,
	.reset = on_reset,
};

/* Where it goes to. Return: 0 or -errno, and @why may say more. */
static int get_prepare(struct get *get, const Kring__FileInfo *info, const char **why)
{
	char token[KRING_TOKEN_MAX + 1];
	bool named = get->copy->resume && info && info->size;
	struct copy_version version = { 0 };
	int code;

	if (!get->place)
		return copy_sink_stdout(&get->sink);
	if (named) {
		get->size = info->size;
		get->mtime = info->mtime;
		version.size = info->size;
		version.mtime = info->mtime;
		version.inode = info->inode;
		copy_token(token, get->from, &version);
	}
	code = copy_sink_open(&get->sink, place_fd(get->place), get->name,
			      named ? token : NULL, info ? info->size : 0, why);
	if (!code)
		get->copy->progress.found += get->sink.position;
	return code;
}

static int get_open(struct get *get)
{
	Kring__Get request = KRING__GET__INIT;

	request.path = copy_bytes(get->from);
	request.offset = get->sink.position;
	get->stream = kring_open(client_mux(get->copy->client), "get", &request.base, 1 << 0,
				 &get_ops, get);
	return get->stream ? 0 : -errno;
}

void copy_get(struct copy *copy, const char *from, const Kring__FileInfo *info,
	      struct place *place, const char *name)
{
	struct get *get = calloc(1, sizeof(*get));
	const char *why = NULL;
	int code = -ENOMEM;

	if (!get) {
		copy_fail(copy, from, "%s", strerror(ENOMEM));
		return;
	}
	get->copy = copy;
	get->sink.fd = -1;
	get->sink.part.fd = -1;
	get->place = place_get(place);
	copy_begin(copy);
	get->from = strdup(from);
	get->name = place ? strdup(name) : NULL;
	get->to = place ? copy_join(place_path(place), name) : strdup("stdout");
	if (info) {
		progress_file(&copy->progress, from, info->size);
		get->listed = true;
	}
	if (get->from && get->to && (get->name || !place))
		code = get_prepare(get, info, &why);
	if (!code)
		code = get_open(get);
	if (code) {
		copy_fail(copy, get->to ? get->to : from, "%s", why ? why : strerror(-code));
		get_free(get);
	}
}
