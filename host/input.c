// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * stdin, on its way to channel 0 of a stream.
 *
 * One of two sources is enabled while there is room: @io calls when there is something to
 * read; a file cannot be waited for, so @turn calls again and again.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "input.h"
#include "tool.h"

/* Read at once. */
#define INPUT_CHUNK	65536

static void input_enable(struct input *input, bool on)
{
	if (input->io)
		sd_event_source_set_enabled(input->io, on ? SD_EVENT_ON : SD_EVENT_OFF);
	else if (input->turn)
		sd_event_source_set_enabled(input->turn, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void input_end(struct input *input)
{
	kring_stream_eof(input->stream, 0);
	input_stop(input);
}

/* Straight into what is to be sent. */
static ssize_t input_read_bytes(struct input *input)
{
	size_t room;
	ssize_t n;
	void *at;

	room = kring_stream_reserve(input->stream, 0, INPUT_CHUNK, &at);
	if (!room)	/* Without memory, @writable would never be called. */
		return kring_stream_room(input->stream, 0) ? -EAGAIN : -ENOBUFS;
	n = stdio_fd_read(&input->from, at, room);
	kring_stream_commit(input->stream, 0, n > 0 ? n : 0);
	return n;
}

static void input_send_rest(struct input *input)
{
	size_t n = kring_stream_write(input->stream, 0, input->rest, input->rest_len);

	input->rest_len -= n;
	memmove(input->rest, input->rest + n, input->rest_len);
}

/*
 * Through the filter, which may have held back a few bytes before: what is passed on may be
 * more than there is room for, and the rest waits.
 */
static ssize_t input_read_keys(struct input *input)
{
	bool found = false;
	char typed[TYPED_CHUNK];
	size_t room;
	ssize_t n;

	input_send_rest(input);
	room = kring_stream_room(input->stream, 0);
	if (!room)
		return -ENOBUFS;
	if (input->rest_len)
		return -EAGAIN;
	n = stdio_fd_read(&input->from, typed, room < sizeof(typed) ? room : sizeof(typed));
	if (n <= 0)
		return n;
	input->typed(input->owner, typed, n);
	if (!input->stream)
		return n;
	input->rest_len = detach_keys_filter(input->keys, typed, n, input->rest, &found);
	input_send_rest(input);
	if (found)
		input->detach(input->owner);
	return n;
}

static void input_ready(struct input *input)
{
	ssize_t n;

	if (!input->stream)
		return;
	n = input->keys ? input_read_keys(input) : input_read_bytes(input);
	if (n == -ENOBUFS) {
		input_enable(input, false);
		return;
	}
	if (n == -EAGAIN || n > 0) {
		input_enable(input, input->stream);
		return;
	}
	/* A terminal that has gone answers so, and is at its end. */
	if (n < 0 && n != -EIO)
		tool_notice("stdin: %s", strerror(-n));
	input_end(input);
}

static int input_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source;
	(void)fd;
	(void)revents;
	input_ready(userdata);
	return 0;
}

static int input_on_turn(sd_event_source *source, void *userdata)
{
	(void)source;
	input_ready(userdata);
	return 0;
}

int input_start(struct input *input, sd_event *loop, struct kring_stream *stream)
{
	int code;

	stdio_fd_open(&input->from, STDIN_FILENO);
	if (input->from.kind == STDIO_FILE)
		code = sd_event_add_defer(loop, &input->turn, input_on_turn, input);
	else
		code = sd_event_add_io(loop, &input->io, input->from.fd, EPOLLIN, input_on_io,
				       input);
	if (code < 0)
		return code;
	input->stream = stream;
	return 0;
}

void input_writable(struct input *input)
{
	if (input->stream)
		input_enable(input, true);
}

void input_stop(struct input *input)
{
	input->stream = NULL;
	input_enable(input, false);
}

void input_close(struct input *input)
{
	input->io = sd_event_source_disable_unref(input->io);
	input->turn = sd_event_source_disable_unref(input->turn);
	stdio_fd_close(&input->from);
}
