// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A channel of a stream, on its way to stdout or stderr.
 *
 * What is there is written at once, as far as it goes; for the rest @io is enabled until all
 * is written. Only a shared pipe or terminal is never written to before poll has said so.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "output.h"
#include "printable.h"

/* Escaped at once: four times as much fits into struct output.escaped. */
#define ESCAPE_CHUNK	250

/* Lines and tabs stay, as nothing moves backwards by them. */
static size_t escape_some(struct output *output, const char *from, size_t len)
{
	size_t n = 0;

	if (len > ESCAPE_CHUNK)
		len = ESCAPE_CHUNK;
	output->escaped_at = 0;
	if (*from == '\n' || *from == '\t') {
		output->escaped[0] = *from;
		output->escaped_len = 1;
		return 1;
	}
	while (n < len && from[n] != '\n' && from[n] != '\t')
		n++;
	/* Not in the midst of a character, where more of it may follow. */
	if (n == ESCAPE_CHUNK)
		while (n > ESCAPE_CHUNK - 4 && (from[n - 1] & 0x80))
			n--;
	output->escaped_len = printable(output->escaped, sizeof(output->escaped), from, n);
	return n;
}

static ssize_t write_escaped(struct output *output, const char *from, size_t len)
{
	size_t consumed;
	ssize_t n;

	if (!output->escaped_len)
		output->escaped_from = escape_some(output, from, len);
	n = stdio_fd_write(&output->to, output->escaped + output->escaped_at,
			   output->escaped_len - output->escaped_at);
	if (n < 0)
		return n;
	output->escaped_at += n;
	if (output->escaped_at < output->escaped_len)
		return -EAGAIN;
	output->escaped_len = 0;
	consumed = output->escaped_from;
	output->escaped_from = 0;
	return consumed;
}

static ssize_t write_some(struct output *output, const void *from, size_t len)
{
	if (output->escape)
		return write_escaped(output, from, len);
	return stdio_fd_write(&output->to, from, len);
}

static void output_enable(struct output *output, bool on)
{
	if (output->io)
		sd_event_source_set_enabled(output->io, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* @once: poll has spoken for one write only. */
static void output_write(struct output *output, bool once)
{
	const void *from;
	size_t len;
	ssize_t n;

	while (output->stream) {
		len = kring_stream_peek(output->stream, output->channel, &from);
		if (!len) {
			output_enable(output, false);
			return;
		}
		n = write_some(output, from, len);
		/* Nothing written, and no error: as if there was no room. */
		if (n == -EAGAIN || !n) {
			output_enable(output, true);
			return;
		}
		if (n < 0) {
			output->broken(output, n);
			return;
		}
		output->midline = ((const char *)from)[n - 1] != '\n';
		kring_stream_consume(output->stream, output->channel, n);
		if (once)
			break;
	}
}

static int output_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct output *output = userdata;

	(void)source;
	(void)fd;
	(void)revents;
	output_write(output, output->to.kind == STDIO_POLLED);
	return 0;
}

int output_start(struct output *output, sd_event *loop, int fd, struct kring_stream *stream,
		 unsigned int channel)
{
	int code = 0;

	output->fd = fd;
	output->channel = channel;
	output->stream = stream;
	stdio_fd_open(&output->to, fd);
	output->escape = output->escape && isatty(fd);
	if (output->to.kind == STDIO_FILE)
		return 0;
	code = sd_event_add_io(loop, &output->io, output->to.fd, EPOLLOUT, output_on_io, output);
	if (code < 0)
		return code;
	output_enable(output, false);
	return 0;
}

void output_readable(struct output *output)
{
	if (output->to.kind == STDIO_POLLED)
		output_enable(output, true);
	else
		output_write(output, false);
}

void output_again(struct output *output, struct kring_stream *stream)
{
	output->stream = stream;
	output->escaped_len = 0;
	output->escaped_from = 0;
	/* The rest of a line that was cut off is not to come. */
	if (output->midline)
		stdio_fd_write(&output->to, "\n", 1);
	output->midline = false;
}

void output_stop(struct output *output)
{
	output->stream = NULL;
	output_enable(output, false);
}

void output_close(struct output *output)
{
	output->io = sd_event_source_disable_unref(output->io);
	stdio_fd_close(&output->to);
}
