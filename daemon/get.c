// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "get": read a file, without its holes.
 *
 * One chunk at a time: it is found, read by the ring, announced and sent. An extent is only
 * announced when its bytes are in memory, so that a file which shrinks, or one of /proc
 * whose size nobody knows, never promises bytes that do not come.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_info.h"
#include "path.h"
#include "services.h"

#define CHUNK	(128 << 10)

/**
 * struct get - one transfer
 * @op: reads
 * @loop: event loop
 * @stream: NULL: it is over, and so are we when @op is done
 * @fd: file
 * @path: its path, for errors
 * @next: where to go on reading
 * @end: where to stop; UINT64_MAX: where the file does
 * @size: of the file when it was opened; 0: it may be any, as in /proc
 * @hole: where the extent that @next is in ends
 * @bytes: that were sent
 * @announced: the chunk's extent was
 * @len: bytes of the chunk
 * @sent: those of them that the stream has
 * @chunk: bytes
 */
struct get {
	struct loop_op op;
	struct loop *loop;
	struct kring_stream *stream;
	int fd;
	char *path;
	uint64_t next;
	uint64_t end;
	uint64_t size;
	uint64_t hole;
	uint64_t bytes;
	bool announced;
	size_t len;
	size_t sent;
	uint8_t chunk[CHUNK];
};

static void get_free(struct get *get)
{
	if (get->op.busy)
		return;
	if (get->fd >= 0)
		close(get->fd);
	free(get->path);
	free(get);
}

static void get_fail(struct get *get, int code, const char *step, const char *why)
{
	path_refuse(get->stream, code, step, get->path, why);
	get->stream = NULL;
	get_free(get);
}

static void get_finish(struct get *get)
{
	Kring__Transferred result = KRING__TRANSFERRED__INIT;
	Kring__FileInfo info;
	struct stat st;

	if (fstat(get->fd, &st)) {
		get_fail(get, -errno, "stat", NULL);
		return;
	}
	if ((uint64_t)st.st_size < get->size) {
		kring_reset(get->stream, EIO, "read",
			    "%s: file shrank from %llu to %llu bytes while it was read",
			    get->path, (unsigned long long)get->size,
			    (unsigned long long)st.st_size);
		get->stream = NULL;
		get_free(get);
		return;
	}
	file_info_set(&info, &st);
	/* Files of /sys are shorter than they say. */
	if (get->size && get->next < get->end)
		info.size = get->next;
	info.name.data = (uint8_t *)get->path;
	info.name.len = strlen(get->path);
	result.bytes = get->bytes;
	result.info = &info;
	kring_stream_eof(get->stream, 0);
	kring_close(get->stream, &result.base);
	get->stream = NULL;
	get_free(get);
}

/* Moves @next to where there is data. False: there is none any more. */
static bool get_seek(struct get *get)
{
	off_t at;

	if (get->next >= get->end)
		return false;
	/* An unknown size goes with unknown holes. */
	if (!get->size || get->next < get->hole)
		return true;
	at = lseek(get->fd, get->next, SEEK_DATA);
	if (at < 0 && errno == ENXIO) {
		get->next = get->end;
		return false;
	}
	if (at >= 0) {
		get->next = at;
		at = lseek(get->fd, at, SEEK_HOLE);
	}
	/*
	 * A file system that knows no holes has none. One that has just been made here is read
	 * as zeros: no bytes would be the file's end.
	 */
	get->hole = at < 0 || (uint64_t)at <= get->next ? get->end : (uint64_t)at;
	return get->next < get->end;
}

static void get_read(struct get *get)
{
	uint64_t len = CHUNK;

	if (!get_seek(get)) {
		get_finish(get);
		return;
	}
	if (get->size && len > get->hole - get->next)
		len = get->hole - get->next;
	if (len > get->end - get->next)
		len = get->end - get->next;
	get->len = 0;
	get->sent = 0;
	get->announced = false;
	loop_read(get->loop, &get->op, get->fd, get->chunk, len, get->next);
}

/* Sends what there is room for, and reads on when all of the chunk is sent. */
static void get_send(struct get *get)
{
	Kring__Extent extent = KRING__EXTENT__INIT;
	int code;

	if (!get->announced) {
		extent.offset = get->next;
		extent.length = get->len;
		code = kring_control(get->stream, &extent.base);
		if (code == -EAGAIN)
			return;
		if (code) {
			get_fail(get, code, "read", NULL);
			return;
		}
		get->announced = true;
	}
	get->sent += kring_stream_write(get->stream, 0, get->chunk + get->sent,
					get->len - get->sent);
	if (get->sent < get->len)
		return;
	get->next += get->len;
	get->bytes += get->len;
	get->len = 0;
	get_read(get);
}

static void get_done(struct loop_op *op, int result)
{
	struct get *get = (struct get *)((char *)op - offsetof(struct get, op));

	if (!get->stream) {
		get_free(get);
		return;
	}
	if (result == -EINTR || result == -EAGAIN) {
		get_read(get);
	} else if (result < 0) {
		get_fail(get, result, "read", NULL);
	} else if (!result) {
		get_finish(get);
	} else {
		get->len = result;
		get_send(get);
	}
}

static void get_writable(struct kring_stream *stream, unsigned int channel)
{
	struct get *get = kring_stream_owner(stream);

	if ((channel && channel != KRING_CHANNEL_CONTROL) || get->op.busy || !get->len)
		return;
	get_send(get);
}

static void get_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct get *get = kring_stream_owner(stream);

	(void)error;
	(void)len;
	get->stream = NULL;
	loop_cancel(get->loop, &get->op);
	get_free(get);
}

static const struct kring_stream_ops get_ops = {
	.writable = get_writable,
	.reset = get_reset,
};

/*
 * To open a device may have effects, and to open a FIFO waits for its other end: so only
 * what was a file is opened, without waiting, and is looked at again.
 */
static int get_open_file(struct get *get, const char **why, struct stat *st)
{
	if (stat(get->path, st))
		return -errno;
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	if (S_ISREG(st->st_mode)) {
		get->fd = open(get->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (get->fd < 0 || fstat(get->fd, st))
			return -errno;
	}
	if (!S_ISREG(st->st_mode)) {
		*why = "not a regular file";
		return -EINVAL;
	}
	/* The ring would not wait for a disk either. */
	fcntl(get->fd, F_SETFL, O_RDONLY);
	return 0;
}

static int get_start(struct get *get, const Kring__Get *request, const char **why)
{
	Kring__FileInfo info;
	struct stat st;
	int code;

	code = path_get(&get->path, &request->path);
	if (code)
		return code;
	code = get_open_file(get, why, &st);
	if (code)
		return code;

	get->size = st.st_size;
	get->next = request->offset;
	if (get->next > get->size) {
		*why = "it ends before the offset";
		return -EINVAL;
	}
	get->end = get->size ? get->size : UINT64_MAX;
	if (request->length && request->length < get->end - get->next)
		get->end = get->next + request->length;

	file_info_set(&info, &st);
	info.name.data = (uint8_t *)get->path;
	info.name.len = strlen(get->path);
	return kring_accept(get->stream, &info.base, 0);
}

static void get_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct get *get = malloc(sizeof(*get));
	const char *why = NULL;
	int code;

	if (!get) {
		path_refuse(stream, -ENOMEM, "get", NULL, NULL);
		return;
	}
	memset(get, 0, offsetof(struct get, chunk));
	get->op.done = get_done;
	get->loop = &agent->loop;
	get->stream = stream;
	get->fd = -1;
	code = get_start(get, request, &why);
	if (code) {
		get_fail(get, code, "open", why);
		return;
	}
	kring_stream_set_ops(stream, &get_ops, get);
	get_read(get);
}

const struct service service_get = {
	.name = "get",
	.request = &kring__get__descriptor,
	.open = get_open,
};
