// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Answering a stream that the guest has opened with a connection of the host's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <message.h>

#include "dial.h"

/**
 * struct dial - one, while its connection is established
 * @link: in the list of all
 * @dials: that list
 * @stream: not accepted yet
 * @connector: what connects
 * @target: where to; a copy
 */
struct dial {
	LIST_ENTRY(dial) link;
	struct dials *dials;
	struct kring_stream *stream;
	struct connector *connector;
	struct target target;
};

static void dial_free(struct dial *d)
{
	LIST_REMOVE(d, link);
	connector_stop(d->connector);
	free(d);
}

static void dial_on_connected(int fd, void *owner)
{
	struct dial *d = owner;
	struct dials *dials = d->dials;
	struct kring_stream *stream = d->stream;

	d->connector = NULL;
	dial_free(d);
	if (fd < 0) {
		kring_reset(stream, -fd, "connect", "the host's side: %s", strerror(-fd));
		return;
	}
	if (kring_accept(stream, NULL, 1 << 0) ||
	    relay_start(&dials->relays, dials->loop, stream, fd)) {
		kring_reset(stream, ENOMEM, "connect", "the host has no memory");
		close(fd);
	}
}

static void dial_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	dial_free(kring_stream_owner(stream));
}

static const struct kring_stream_ops dial_ops = {
	.reset = dial_on_reset,
};

void dial(struct dials *dials, struct kring_stream *stream, const struct target *target)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (!d)
		goto no_memory;
	d->dials = dials;
	d->stream = stream;
	d->target = *target;
	d->target.text = NULL;
	if (connector_start(&d->connector, dials->loop, &d->target, dial_on_connected, d))
		goto no_memory;
	LIST_INSERT_HEAD(&dials->pending, d, link);
	kring_stream_set_ops(stream, &dial_ops, d);
	return;

no_memory:
	free(d);
	kring_reset(stream, ENOMEM, "connect", "the host has no memory");
}

void dials_end(struct dials *dials, int error, const char *text)
{
	struct dial *d;

	while ((d = LIST_FIRST(&dials->pending))) {
		kring_reset(d->stream, error, "connect", "%s", text);
		dial_free(d);
	}
	relays_end(&dials->relays, error, text);
}
