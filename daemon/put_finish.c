// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "put": all bytes are written. Now the file gets its attributes, is synced, takes
 * its name, and the directory is synced too, so that what the host is told has happened
 * still has happened after a crash of the guest.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attributes.h>

#include "file_info.h"
#include "put.h"

static struct put *put_of_op(struct loop_op *op)
{
	return (struct put *)((char *)op - offsetof(struct put, op));
}

static void put_answer(struct put *put)
{
	Kring__Transferred result = KRING__TRANSFERRED__INIT;
	Kring__FileInfo info;
	struct stat st;

	if (!fstat(put->part.fd, &st)) {
		file_info_set(&info, &st);
		info.name.data = (uint8_t *)put->entry.path;
		info.name.len = strlen(put->entry.path);
		result.info = &info;
	}
	result.bytes = put->bytes;
	kring_close(put->stream, &result.base);
	put->stream = NULL;
}

/* Not each file system can, and not each directory may be opened for it. */
static void put_dir_synced(struct loop_op *op, int result)
{
	struct put *put = put_of_op(op);

	if (put->stream && result == -EIO) {
		kring_part_taken(&put->part);
		put_fail(put, result, "sync", "directory: Input/output error");
		return;
	}
	if (put->stream)
		put_answer(put);
	kring_part_taken(&put->part);
	put_free(put);
}

static void put_renamed(struct loop_op *op, int result)
{
	struct put *put = put_of_op(op);

	/* Some file systems cannot, and need another way. */
	if (result == -EINVAL && put->no_replace && put->stream)
		result = kring_part_link(&put->part, put->entry.name);
	if (result) {
		if (put->stream)
			put_fail(put, result, "rename", NULL);
		else
			put_free(put);
		return;
	}
	put->op.done = put_dir_synced;
	loop_fsync(put->loop, &put->op, put->entry.dir);
}

static void put_synced(struct loop_op *op, int result)
{
	struct put *put = put_of_op(op);

	if (!put->stream) {
		put_free(put);
		return;
	}
	if (result) {
		put_fail(put, result, "sync", NULL);
		return;
	}
	result = kring_part_name(&put->part);
	if (result) {
		put_fail(put, result, "link", NULL);
		return;
	}
	put->op.done = put_renamed;
	loop_renameat(put->loop, &put->op, put->entry.dir, put->part.name, put->entry.dir,
		      put->entry.name, put->no_replace ? RENAME_NOREPLACE : 0);
}

/* A hole at the end is not written. */
static int put_extend(struct put *put)
{
	struct stat st;

	if (fstat(put->part.fd, &st))
		return -errno;
	if ((uint64_t)st.st_size < put->size && ftruncate(put->part.fd, put->size))
		return -errno;
	return 0;
}

void put_finish(struct put *put)
{
	const char *what = "size";
	int code;

	code = put_extend(put);
	if (!code)
		code = kring_set_attributes(put->part.fd, NULL, &put->attributes.all, &what);
	if (code) {
		put_fail(put, code, what, NULL);
		return;
	}
	put->op.done = put_synced;
	loop_fsync(put->loop, &put->op, put->part.fd);
}
