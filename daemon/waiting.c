// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Streams of a quiesced guest. Whoever opens one while a snapshot is made wants it to begin a
 * little later, and not to be told to try again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "waiting.h"

/* Bytes of all that waits. */
#define WAITING_MAX	(4 << 20)

/**
 * struct waiting - a stream that waits to begin
 * @list: of all there are
 * @stream: offered
 * @len: bytes
 * @open: its encoded Open
 */
struct waiting {
	TAILQ_ENTRY(waiting) list;
	struct kring_stream *stream;
	size_t len;
	uint8_t open[];
};

static TAILQ_HEAD(, waiting) waitings = TAILQ_HEAD_INITIALIZER(waitings);
static size_t waiting_bytes;

static void waiting_leave(struct waiting *waiting)
{
	TAILQ_REMOVE(&waitings, waiting, list);
	waiting_bytes -= sizeof(*waiting) + waiting->len;
}

static void waiting_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct waiting *waiting = kring_stream_owner(stream);

	(void)error;
	(void)len;
	waiting_leave(waiting);
	free(waiting);
}

static const struct kring_stream_ops waiting_ops = {
	.reset = waiting_reset,
};

void waiting_add(struct kring_stream *stream, const void *open, size_t len)
{
	size_t size = sizeof(struct waiting) + len;
	struct waiting *waiting = NULL;

	if (waiting_bytes + size <= WAITING_MAX)
		waiting = malloc(size);
	if (!waiting) {
		kring_reset(stream, EAGAIN, "quiesced",
			    "the guest is quiesced, and too much waits");
		return;
	}
	waiting->stream = stream;
	waiting->len = len;
	if (len)
		memcpy(waiting->open, open, len);
	TAILQ_INSERT_TAIL(&waitings, waiting, list);
	waiting_bytes += size;
	kring_stream_set_ops(stream, &waiting_ops, waiting);
}

void waiting_hold(struct agent *agent, const struct kring_stream *but)
{
	struct kring_stream *stream = NULL;

	while ((stream = kring_mux_next(agent->mux, stream)))
		if (stream != but)
			kring_stream_hold(stream, true);
}

void waiting_release(struct agent *agent)
{
	struct kring_stream *stream = NULL;
	struct waiting *waiting;

	while ((stream = kring_mux_next(agent->mux, stream)))
		kring_stream_hold(stream, false);
	while ((waiting = TAILQ_FIRST(&waitings))) {
		stream = waiting->stream;
		waiting_leave(waiting);
		kring_stream_set_ops(stream, NULL, NULL);
		agent_open(agent, stream, waiting->open, waiting->len);
		free(waiting);
	}
}
