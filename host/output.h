/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A channel of a stream, on its way to stdout or stderr. Bytes are consumed when they are
 * written, so whoever does not read them slows down that channel, and nothing else.
 */
#ifndef KRING_OUTPUT_H
#define KRING_OUTPUT_H

#include <systemd/sd-event.h>

#include <mux.h>

#include "stdio_fd.h"

/**
 * struct output - stdout or stderr of a stream; begins zeroed
 * @to: where bytes go to
 * @stream: where they come from, NULL: from nowhere any more
 * @channel: which
 * @io: source of @to, NULL: it is always ready
 * @escape: where @to is a terminal, show what it would obey as escapes
 * @broken: called when @to fails; @code is a negative errno, -EPIPE: nobody reads
 * @owner: for @broken
 * @fd: STDOUT_FILENO or STDERR_FILENO
 * @midline: what was written last is no end of a line
 * @escaped: bytes that are escaped and not written
 * @escaped_at: the next one of them
 * @escaped_len: the end of them
 * @escaped_from: bytes of the channel that they stand for
 */
struct output {
	struct stdio_fd to;
	struct kring_stream *stream;
	unsigned int channel;
	sd_event_source *io;
	bool escape;
	void (*broken)(struct output *output, int code);
	void *owner;
	int fd;
	bool midline;
	char escaped[1024];
	size_t escaped_at;
	size_t escaped_len;
	size_t escaped_from;
};

/* 0 or a negative errno. @escape, @broken and @owner are to be set before. */
int output_start(struct output *output, sd_event *loop, int fd, struct kring_stream *stream,
		 unsigned int channel);

/* There is something on the channel. */
void output_readable(struct output *output);

/* Go on with another stream, behind output_stop(). */
void output_again(struct output *output, struct kring_stream *stream);

/* The stream is over. */
void output_stop(struct output *output);
void output_close(struct output *output);

#endif /* KRING_OUTPUT_H */
