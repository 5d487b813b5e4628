// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One output of a session.
 *
 * The pipe is read only while there is somewhere to put the bytes. With a stream that is as
 * much as its channel has room for, so a host that does not read stops the program, and not
 * the other channel. Without one the log takes all, and forgets the oldest.
 *
 * A session that outlives its host also logs what it sends, and sends it from there: what the
 * host had not taken when it went, or when kringd did, is there for the next one.
 */
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "leftover.h"
#include "output.h"
#include "session.h"

#define READ_MAX	65536

/* Then others have their turn. */
#define TURN_MAX	(4 * READ_MAX)

/* What a terminal may hold when its program ends: it cannot be asked. */
#define TERMINAL_MAX	(128 << 10)

/* When there was no memory to send from. */
#define RETRY_NS	10000000ull

static void output_ready(struct loop_op *op, int result)
{
	struct output *output = container_of(op, struct output, op);

	(void)result;
	if (!session_released(output->session))
		output_pump(output);
}

void output_init(struct output *output, struct session *session, unsigned int channel)
{
	output->session = session;
	output->channel = channel;
	output->fd = -1;
	output->relay[0] = -1;
	output->relay[1] = -1;
	output->op.done = output_ready;
}

static struct loop *output_loop(const struct output *output)
{
	return &output->session->agent->loop;
}

static void output_close(struct output *output)
{
	if (output->fd < 0)
		return;
	loop_cancel(output_loop(output), &output->op);
	close(output->fd);
	output->fd = -1;
}

void output_free(struct output *output)
{
	unsigned int i;

	output_close(output);
	for (i = 0; i < ARRAY_SIZE(output->relay); i++) {
		if (output->relay[i] >= 0)
			close(output->relay[i]);
		output->relay[i] = -1;
	}
}

void output_delivered(struct output *output, uint64_t position)
{
	if (position > output->log.mark->taken)
		output->log.mark->taken = position;
}

/* What the host has acknowledged. It may have taken more: an ACK stands for many bytes. */
static void note_taken(struct output *output)
{
	output_delivered(output, output->sent - kring_stream_unacked(output->session->stream,
								     output->channel));
}

/* Sends what is in the log and has not been sent. Whether that is all. */
static bool replay(struct output *output)
{
	struct kring_stream *stream = output->session->stream;
	const struct output_mark *mark = output->log.mark;
	size_t len;
	void *at;

	while (stream && output->sent < mark->end) {
		len = mark->end - output->sent;
		len = kring_stream_reserve(stream, output->channel,
					   len < READ_MAX ? len : READ_MAX, &at);
		if (!len) {
			/* Without room @writable goes on, without memory time has to. */
			if (kring_stream_room(stream, output->channel) && !output->op.busy)
				loop_timeout(output_loop(output), &output->op, RETRY_NS);
			return false;
		}
		len = output_log_read(&output->log, output->sent, at, len);
		kring_stream_commit(stream, output->channel, len);
		/* Memory was so short that it is gone. */
		output->sent = len ? output->sent + len : mark->end;
		note_taken(output);
	}
	return true;
}

/*
 * Nothing more of the program's comes. What still holds the pipe are its children, which
 * shall not be killed by it.
 */
static void abandon_pipe(struct output *output)
{
	struct pollfd pfd = { .fd = output->fd, .events = POLLIN };

	if (!output->session->record->tty && !(poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP) &&
	    !leftover_add(output_loop(output), output->fd)) {
		output->fd = -1;
		return;
	}
	output_close(output);
}

/* Reads once, straight to where it goes. As read(2), or -ENOBUFS: there is no room. */
static ssize_t take_to_stream(struct output *output, size_t want)
{
	struct kring_stream *stream = output->session->stream;
	ssize_t len;
	void *at;

	want = kring_stream_reserve(stream, output->channel, want, &at);
	if (!want)
		return -ENOBUFS;
	len = read(output->fd, at, want);
	if (len < 0)
		len = -errno;
	if (len > 0)
		output_log_append(&output->log, at, len);
	kring_stream_commit(stream, output->channel, len > 0 ? len : 0);
	output->sent = output->log.mark->end;
	note_taken(output);
	return len;
}

/* The same by way of the log, which has room for it, and from which it is sent thereafter. */
static ssize_t take_to_log(struct output *output, size_t want)
{
	struct kring_stream *stream = output->session->stream;
	size_t room = kring_stream_room(stream, output->channel);

	if (!room)
		return -ENOBUFS;
	return output_take(output, want < room ? want : room);
}

static ssize_t take(struct output *output)
{
	size_t want = READ_MAX, room;
	ssize_t len;

	if (output->ending && want > output->left)
		want = output->left;
	if (!output->session->stream) {
		len = output_take(output, want);
	} else {
		room = output_log_room(&output->log, output->sent, want);
		len = room ? take_to_log(output, room) : take_to_stream(output, want);
	}
	if (len > 0 && output->ending)
		output->left -= len;
	return len;
}

/* Reads until there is nothing, or nowhere to put it. */
static void drain(struct output *output)
{
	struct loop *loop = output_loop(output);
	struct kring_stream *stream = output->session->stream;
	size_t turn = 0;
	ssize_t len;

	while (output->fd >= 0 && !output->op.busy) {
		if (output->ending && !output->left) {
			abandon_pipe(output);
			return;
		}
		if (turn >= TURN_MAX) {
			loop_poll(loop, &output->op, output->fd, POLLIN);
			return;
		}
		len = take(output);
		if (len > 0) {
			turn += len;
			if (!replay(output))
				return;
			continue;
		}
		switch (len) {
		case -EINTR:
			break;
		case -ENOBUFS:
			if (kring_stream_room(stream, output->channel))
				loop_timeout(loop, &output->op, RETRY_NS);
			return;
		case -EAGAIN:
			if (output->ending)
				output->left = 0;
			else
				loop_poll(loop, &output->op, output->fd, POLLIN);
			break;
		default:
			/* Its end; of a terminal -EIO. */
			output_close(output);
		}
	}
}

void output_pump(struct output *output)
{
	struct kring_stream *stream = output->session->stream;

	if (!replay(output))
		return;
	drain(output);
	if (output->fd >= 0)
		return;
	if (stream && !output->ended) {
		kring_stream_eof(stream, output->channel);
		output->ended = true;
	}
	session_update(output->session);
}

void output_finish(struct output *output)
{
	int bytes = 0;

	if (output->fd >= 0) {
		if (output->session->record->tty)
			bytes = TERMINAL_MAX;
		else if (ioctl(output->fd, FIONREAD, &bytes) || bytes < 0)
			bytes = 0;
		output->ending = true;
		output->left = bytes;
		loop_cancel(output_loop(output), &output->op);
	}
	if (!output->op.busy)
		output_pump(output);
}

uint64_t output_attach(struct output *output, bool no_log)
{
	uint64_t missed = output->log.mark->taken, start = output_log_start(&output->log);

	output->ended = false;
	output->sent = missed > start ? missed : start;
	if (no_log) {
		output->sent = output->log.mark->end;
		return 0;
	}
	return output->sent - missed;
}

void output_detach(struct output *output)
{
	output_log_drop(&output->log, output->log.mark->taken);
}

bool output_flushed(const struct output *output)
{
	return output->fd < 0 && (!output->session->stream || output->ended);
}
