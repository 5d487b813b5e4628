// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: a directory of the guest's that is being filled. Its attributes come last: a
 * mode may forbid to write to it, and each file that is made in it changes its time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"

/**
 * struct remote_dir - one directory
 * @copy: run
 * @path: in the guest
 * @attributes: that it is to have
 * @ours: we have made it, so it gets them
 * @up: the one that it is in
 * @refs: who is still at work in it
 */
struct remote_dir {
	struct copy *copy;
	char *path;
	struct attributes attributes;
	bool ours;
	struct remote_dir *up;
	unsigned int refs;
};

struct remote_dir *remote_dir_new(struct copy *copy, const char *path,
				  const struct attributes *attributes, struct remote_dir *up)
{
	struct remote_dir *dir = calloc(1, sizeof(*dir));
	struct attributes *own;

	if (!dir)
		return NULL;
	dir->path = strdup(path);
	if (!dir->path) {
		free(dir);
		return NULL;
	}
	dir->copy = copy;
	dir->refs = 1;
	dir->up = remote_dir_get(up);
	if (!attributes)
		return dir;
	dir->ours = true;
	own = &dir->attributes;
	*own = *attributes;
	own->all.mode = &own->mode;
	own->all.mtime = &own->mtime;
	own->all.uid = own->all.uid ? &own->uid : NULL;
	own->all.gid = own->all.gid ? &own->gid : NULL;
	return dir;
}

struct remote_dir *remote_dir_get(struct remote_dir *dir)
{
	if (dir)
		dir->refs++;
	return dir;
}

static void dir_free(struct remote_dir *dir)
{
	struct remote_dir *up = dir->up;

	free(dir->path);
	free(dir);
	remote_dir_put(up);
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct remote_dir *dir = kring_stream_owner(stream);
	struct copy *copy = dir->copy;

	(void)result;
	(void)len;
	kring_close(stream, NULL);
	dir_free(dir);
	copy_end(copy);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct remote_dir *dir = kring_stream_owner(stream);
	struct copy *copy = dir->copy;

	copy_refused(copy, dir->path, error, len);
	dir_free(dir);
	copy_end(copy);
}

static const struct kring_stream_ops attributes_ops = {
	.closed = on_closed,
	.reset = on_reset,
};

void remote_dir_put(struct remote_dir *dir)
{
	Kring__SetAttributes request = KRING__SET_ATTRIBUTES__INIT;

	if (!dir || --dir->refs)
		return;
	if (!dir->ours || dir->copy->lost) {
		dir_free(dir);
		return;
	}
	request.path = copy_bytes(dir->path);
	request.attributes = &dir->attributes.all;
	copy_begin(dir->copy);
	if (kring_open(client_mux(dir->copy->client), "attributes", &request.base, 0,
		       &attributes_ops, dir))
		return;
	copy_fail(dir->copy, dir->path, "%s", strerror(ENOMEM));
	copy_end(dir->copy);
	dir_free(dir);
}

const char *remote_dir_path(const struct remote_dir *dir)
{
	return dir->path;
}
