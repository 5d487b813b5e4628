// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A session's stdin. Bytes are taken off the stream as the program takes them, so one that
 * does not read stalls its own host, at a window's worth of bytes.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "input.h"
#include "session.h"
#include "terminal.h"

/* The peer may have no end of credit: others have their turn. */
#define TURN_MAX	(1024 * 1024)

static void input_ready(struct loop_op *op, int result)
{
	struct input *input = container_of(op, struct input, op);

	(void)result;
	if (!session_released(input->session))
		input_pump(input);
}

void input_init(struct input *input, struct session *session)
{
	input->session = session;
	input->fd = -1;
	input->op.done = input_ready;
}

void input_close(struct input *input)
{
	if (input->fd < 0)
		return;
	loop_cancel(&input->session->agent->loop, &input->op);
	/* Noted first: another agent would not know that it was to be closed. */
	session_input_closed(input->session);
	close(input->fd);
	input->fd = -1;
}

/*
 * A pipe ends. A terminal does not, but its reader is told as if somebody had typed ^D:
 * twice within a line, where the first one only hands over what there is of it.
 */
static void input_end(struct input *input)
{
	int c = input->session->record->tty ? terminal_eof_character(input->fd) : -1;
	char typed[2] = { c, c };

	if (c >= 0 && write(input->fd, typed, input->line_open ? 2 : 1) < 0 && errno == EAGAIN) {
		loop_poll(&input->session->agent->loop, &input->op, input->fd, POLLOUT);
		return;
	}
	input_close(input);
}

/* How many bytes were taken; 0: none now; or a negative errno. */
static ssize_t input_write(struct input *input, const char *bytes, size_t len)
{
	ssize_t taken;

	do {
		taken = write(input->fd, bytes, len);
	} while (taken < 0 && errno == EINTR);
	if (taken > 0) {
		input->line_open = bytes[taken - 1] != '\n';
		return taken;
	}
	return !taken || errno == EAGAIN ? 0 : -errno;
}

void input_pump(struct input *input)
{
	struct loop *loop = &input->session->agent->loop;
	struct kring_stream *stream = input->session->stream;
	size_t len, turn = TURN_MAX;
	const void *at;
	ssize_t taken;

	while (stream && !input->op.busy && (len = kring_stream_peek(stream, 0, &at))) {
		/* The program has closed it, or never had it. */
		if (input->fd < 0) {
			kring_stream_consume(stream, 0, len);
			continue;
		}
		taken = input_write(input, at, len);
		if (taken < 0) {
			input_close(input);
			continue;
		}
		kring_stream_consume(stream, 0, taken);
		turn -= (size_t)taken < turn ? (size_t)taken : turn;
		if (!taken || !turn)
			loop_poll(loop, &input->op, input->fd, POLLOUT);
	}
	if (stream && input->fd >= 0 && !input->op.busy && kring_stream_ended(stream, 0))
		input_end(input);
}
