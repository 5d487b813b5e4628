// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: one file to the guest.
 *
 * A file that is not resumed begins at 0, so its bytes go out behind the request at once: a
 * small one costs one round trip.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "copy.h"
#include "copy_source.h"

/**
 * struct put - one transfer
 * @copy: run
 * @stream: stream
 * @source: file
 * @input: waits for a pipe
 * @from: its path, for messages
 * @dir: directory that it goes to
 * @counted: bytes that the progress knows of
 * @bytes: that were sent
 * @ready: it may begin
 * @eof: all is sent
 * @announced: the chunk's extent was
 * @offset: of the chunk in the file
 * @len: bytes of the chunk
 * @sent: those of them that the stream has
 * @chunk: bytes
 */
struct put {
	struct copy *copy;
	struct kring_stream *stream;
	struct copy_source source;
	sd_event_source *input;
	char *from;
	struct remote_dir *dir;
	uint64_t counted;
	uint64_t bytes;
	bool ready;
	bool eof;
	bool announced;
	uint64_t offset;
	int len;
	int sent;
	uint8_t chunk[COPY_CHUNK];
};

static void put_count(struct put *put, uint64_t position)
{
	if (position <= put->counted)
		return;
	put->copy->progress.done += position - put->counted;
	put->counted = position;
}

static void put_free(struct put *put)
{
	struct copy *copy = put->copy;

	sd_event_source_disable_unref(put->input);
	copy_source_close(&put->source);
	remote_dir_put(put->dir);
	free(put->from);
	free(put);
	copy->progress.files_done++;
	copy_end(copy);
}

static void put_fail(struct put *put, int code, const char *why)
{
	copy_fail(put->copy, put->from, "%s", why);
	kring_reset(put->stream, -code, "read", "%s at the host", why);
	put_free(put);
}

/* The next chunk. True: there is one; or else it waits, or all is sent, or it has failed. */
static bool put_read(struct put *put)
{
	int n = copy_source_read(&put->source, put->chunk, COPY_CHUNK, &put->offset);

	if (n > 0) {
		put->len = n;
		put->sent = 0;
		put->announced = false;
		return true;
	}
	if (n == -EAGAIN) {
		if (put->input)
			sd_event_source_set_enabled(put->input, SD_EVENT_ONESHOT);
	} else if (n) {
		put_fail(put, n, n == -EIO ? "the file shrank, or cannot be read" : strerror(-n));
	} else {
		put->eof = true;
		kring_stream_eof(put->stream, 0);
	}
	return false;
}

/* Sends what there is room for. */
static void put_pump(struct put *put)
{
	Kring__Extent extent = KRING__EXTENT__INIT;
	int code;

	while (put->ready && !put->eof) {
		if (put->sent == put->len && !put_read(put))
			return;
		if (!put->announced) {
			extent.offset = put->offset;
			extent.length = put->len;
			code = kring_control(put->stream, &extent.base);
			if (code == -EAGAIN)
				return;
			if (code) {
				put_fail(put, code, strerror(-code));
				return;
			}
			put->announced = true;
		}
		put->sent += kring_stream_write(put->stream, 0, put->chunk + put->sent,
						put->len - put->sent);
		if (put->sent < put->len)
			return;
		put->bytes += put->len;
		put_count(put, put->offset + put->len);
	}
}

static void on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct put *put = kring_stream_owner(stream);
	Kring__PutReady *answer;
	bool strange;

	answer = kring_unpack_accept(&kring__put_ready__descriptor, reply, len);
	strange = !answer || (put->ready && answer->offset) ||
		  (!put->ready && answer->offset > (uint64_t)put->source.st.st_size);
	if (strange) {
		kring_unpack_free(answer);
		put_fail(put, -EPROTO, "the guest's answer makes no sense");
		return;
	}
	if (!put->ready) {
		put->source.next = answer->offset;
		put->copy->progress.found += answer->offset;
		put_count(put, answer->offset);
		put->ready = true;
		put_pump(put);
	}
	kring_unpack_free(answer);
}

static void on_writable(struct kring_stream *stream, unsigned int channel)
{
	(void)channel;
	put_pump(kring_stream_owner(stream));
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct put *put = kring_stream_owner(stream);
	Kring__Transferred *end;

	end = kring_unpack_close(&kring__transferred__descriptor, result, len);
	if (!end || !put->eof || end->bytes != put->bytes)
		copy_fail(put->copy, put->from, "the guest has not taken all of it");
	else if (copy_source_changed(&put->source))
		copy_notice(put->copy, put->from, "changed while it was copied");
	kring_unpack_free(end);
	kring_close(stream, NULL);
	/* A hole at its end. */
	put_count(put, put->source.st.st_size);
	put_free(put);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct put *put = kring_stream_owner(stream);

	copy_refused(put->copy, put->from, error, len);
	put_free(put);
}

static const struct kring_stream_ops put_ops = {
	.accepted = on_accepted,
	.writable = on_writable,
	.closed = on_closed,
	.reset = on_reset,
};

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	put_pump(userdata);
	return 0;
}

/* What epoll does not take is always ready, such as /dev/zero. */
static int put_watch(struct put *put)
{
	int code;

	if (!put->source.piped)
		return 0;
	code = sd_event_add_io(client_loop(put->copy->client), &put->input, put->source.fd,
			       EPOLLIN, on_input, put);
	if (code == -EPERM)
		return 0;
	if (code >= 0)
		code = sd_event_source_set_enabled(put->input, SD_EVENT_OFF);
	return code < 0 ? code : 0;
}

static int put_open(struct put *put, const char *to)
{
	struct stat *st = &put->source.st;
	Kring__Put request = KRING__PUT__INIT;
	char token[KRING_TOKEN_MAX + 1];
	struct attributes attributes;
	struct copy_version version = {
		.size = st->st_size,
		.mtime = kring_nanoseconds(&st->st_mtim),
		.ctime = kring_nanoseconds(&st->st_ctim),
		.inode = st->st_ino,
	};

	request.path = copy_bytes(to);
	put->ready = true;
	if (!put->source.piped) {
		copy_attributes(put->copy, &attributes, st->st_mode, st->st_uid, st->st_gid,
				version.mtime);
		request.attributes = &attributes.all;
		request.size = st->st_size;
		/* One of unknown size is not the same the next time. */
		if (put->copy->resume && st->st_size) {
			copy_token(token, to, &version);
			request.token = token;
			put->ready = false;
		}
	}
	put->stream = kring_open(client_mux(put->copy->client), "put", &request.base, 0,
				 &put_ops, put);
	return put->stream ? 0 : -errno;
}

void copy_put(struct copy *copy, int fd, const char *from, const char *to,
	      struct remote_dir *dir)
{
	struct put *put = malloc(sizeof(*put));
	int code = -ENOMEM;

	if (!put) {
		close(fd);
		copy_fail(copy, from, "%s", strerror(ENOMEM));
		return;
	}
	memset(put, 0, offsetof(struct put, chunk));
	put->copy = copy;
	put->dir = remote_dir_get(dir);
	copy_begin(copy);
	put->from = strdup(from);
	if (put->from)
		code = copy_source_open(&put->source, fd, fd == STDIN_FILENO);
	else
		close(fd);
	if (!put->from)
		put->source.fd = -1;
	if (!code) {
		progress_file(&copy->progress, from, put->source.st.st_size);
		code = put_watch(put);
	}
	if (!code)
		code = put_open(put, to);
	if (code) {
		copy_fail(copy, from, "%s", code == -EINVAL ? "not a regular file" :
			  strerror(-code));
		put_free(put);
		return;
	}
	put_pump(put);
}
