// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "put": write a file. Its bytes come in here; put_finish.c gives it its name.
 *
 * Bytes are copied out of the stream before they are written: the ring may still be reading
 * them when the stream is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "put.h"
#include "services.h"

void put_free(struct put *put)
{
	if (put->op.busy)
		return;
	kring_part_close(&put->part);
	path_close(&put->entry);
	kring_extents_free(&put->extents);
	free(put);
}

void put_fail(struct put *put, int code, const char *step, const char *why)
{
	path_refuse(put->stream, code, step, put->entry.path, why);
	put->stream = NULL;
	put_free(put);
}

static void put_write(struct put *put)
{
	loop_write(put->loop, &put->op, put->part.fd, put->chunk + put->written,
		   put->len - put->written, put->position + put->written);
}

/* Fills the chunk with what has come, as far as it is one extent. */
static void put_fill(struct put *put)
{
	uint64_t left;
	const void *at;
	size_t len;

	put->len = 0;
	put->written = 0;
	left = kring_extents_next(&put->extents, &put->position);
	while (left && put->len < PUT_CHUNK) {
		len = kring_stream_peek(put->stream, 0, &at);
		if (!len)
			break;
		if (len > left)
			len = left;
		if (len > PUT_CHUNK - put->len)
			len = PUT_CHUNK - put->len;
		memcpy(put->chunk + put->len, at, len);
		kring_stream_consume(put->stream, 0, len);
		put->len += len;
		left -= len;
	}
	if (put->len)
		kring_extents_advance(&put->extents, put->len);
}

/* Bytes that no extent was announced for wait: there is no credit for many of them. */
static void put_step(struct put *put)
{
	if (put->op.busy || put->finishing)
		return;
	put_fill(put);
	if (put->len) {
		put_write(put);
		return;
	}
	if (!kring_stream_ended(put->stream, 0))
		return;
	if (put->extents.count) {
		put_fail(put, -EPROTO, "write", "its bytes end within an extent");
		return;
	}
	put->finishing = true;
	put_finish(put);
}

static void put_written(struct loop_op *op, int result)
{
	struct put *put = (struct put *)((char *)op - offsetof(struct put, op));

	if (!put->stream) {
		put_free(put);
		return;
	}
	if (!result)
		result = -EIO;
	if (result < 0 && result != -EINTR && result != -EAGAIN) {
		put_fail(put, result, "write", NULL);
		return;
	}
	if (result > 0) {
		put->written += result;
		put->bytes += result;
	}
	if (put->written < put->len)
		put_write(put);
	else
		put_step(put);
}

static void put_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct put *put = kring_stream_owner(stream);
	int code = kring_extents_add(&put->extents, message, len);

	if (code)
		put_fail(put, code, "write", code == -EPROTO ? "strange extent" : NULL);
	else
		put_step(put);
}

static void put_readable(struct kring_stream *stream, unsigned int channel)
{
	if (!channel)
		put_step(kring_stream_owner(stream));
}

static void put_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct put *put = kring_stream_owner(stream);

	(void)error;
	(void)len;
	put->stream = NULL;
	loop_cancel(put->loop, &put->op);
	put_free(put);
}

static const struct kring_stream_ops put_ops = {
	.readable = put_readable,
	.control = put_control,
	.reset = put_reset,
};

/*
 * What is there already. A rename would also replace a device or a socket, which nobody who
 * writes to it wants; a symlink is replaced, not what it points to.
 */
static int put_look(struct put *put, const Kring__Put *request, const char **why)
{
	struct stat st;
	int code;

	code = fstatat(put->entry.dir, put->entry.name, &st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	if (!code && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!code && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
		*why = "not a regular file";
		return -EINVAL;
	}
	if (!code && request->no_replace)
		return -EEXIST;
	if (code && code != -ENOENT)
		return code;
	put_attributes_set(&put->attributes, request->attributes,
			   !code && S_ISREG(st.st_mode) ? &st : NULL);
	return 0;
}

static int put_start(struct put *put, const Kring__Put *request, const char **why)
{
	Kring__PutReady ready = KRING__PUT_READY__INIT;
	const char *token = *request->token ? request->token : NULL;
	uint64_t offset;
	int code;

	code = path_open(&put->entry, &request->path);
	if (code)
		return code;
	if (request->path.data[request->path.len - 1] == '/')
		return -EISDIR;
	code = put_look(put, request, why);
	if (code)
		return code;
	if (request->size > INT64_MAX)
		return -EFBIG;

	code = kring_part_open(&put->part, put->entry.dir, token, &offset);
	if (code == -EBUSY)
		*why = "another transfer with the same token is under way";
	if (code == -EINVAL)
		*why = "a token is up to 64 letters, digits and hyphens";
	if (code == -EEXIST)
		*why = "something else has the temporary file's name";
	if (code)
		return code;
	/* That was another file. */
	if (request->size && offset > request->size) {
		if (ftruncate(put->part.fd, 0))
			return -errno;
		offset = 0;
	}
	put->size = request->size;
	put->no_replace = request->no_replace;
	put->extents.end = offset;
	ready.offset = offset;
	return kring_accept(put->stream, &ready.base, 1 << 0);
}

static void put_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct put *put = malloc(sizeof(*put));
	const char *why = NULL;
	int code;

	if (!put) {
		path_refuse(stream, -ENOMEM, "put", NULL, NULL);
		return;
	}
	memset(put, 0, offsetof(struct put, chunk));
	put->op.done = put_written;
	put->loop = &agent->loop;
	put->stream = stream;
	put->entry.dir = -1;
	put->part.fd = -1;
	code = put_start(put, request, &why);
	if (code) {
		put_fail(put, code, "create", why);
		return;
	}
	kring_stream_set_ops(stream, &put_ops, put);
	/* The bytes may have come with the request, and nobody tells of them again. */
	put_step(put);
}

const struct service service_put = {
	.name = "put",
	.request = &kring__put__descriptor,
	.open = put_open,
};
