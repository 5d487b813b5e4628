// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A link over a region that this process owns.
 *
 * Frames go in batches: what is sent is published, and what was received is given back, by
 * link_flush() with one kick. The guest may write to a frame while it is looked at, so it is
 * copied out before anybody does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <kring/stream.h>

#include "link.h"

/**
 * struct region_link - a link over a region
 * @link: common part
 * @host: the region
 * @sent: frames were committed, and not submitted
 * @received: frames were advanced over, and not released
 */
struct region_link {
	struct link link;
	struct kring_host *host;
	bool sent;
	bool received;
};

static struct region_link *to_region(struct link *link)
{
	return (struct region_link *)link;
}

static int region_send(struct link *link, const void *frame, size_t len)
{
	struct region_link *r = to_region(link);
	struct kring_frame to;
	int code;

	code = kring_host_reserve(r->host, len, &to);
	if (code)
		return code;
	memcpy(to.payload, frame, len);
	kring_host_commit(r->host, &to);
	r->sent = true;
	return 0;
}

static ssize_t region_recv(struct link *link, void *buf, size_t size)
{
	struct region_link *r = to_region(link);
	struct kring_frame from;
	int code;

	code = kring_host_peek(r->host, &from);
	if (code == -EAGAIN)
		r->received = false;
	if (code)
		return code;
	if (from.len <= size)
		memcpy(buf, from.payload, from.len);
	kring_host_advance(r->host, &from);
	r->received = true;
	return from.len <= size ? (ssize_t)from.len : -EMSGSIZE;
}

static void region_flush(struct link *link)
{
	struct region_link *r = to_region(link);

	if (r->sent)
		kring_host_submit(r->host);
	if (r->received)
		kring_host_release(r->host);
	r->sent = false;
	r->received = false;
}

static int region_dispatch(struct link *link)
{
	return kring_host_dispatch(to_region(link)->host);
}

static const char *region_fault(struct link *link, int code)
{
	const char *fault = kring_host_fault(to_region(link)->host);

	return fault && (code == -EBADMSG || code == -ESTALE) ? fault : strerror(-code);
}

static void region_close(struct link *link)
{
	struct region_link *r = to_region(link);

	region_flush(link);
	kring_host_detach(r->host);
	free(r);
}

static const struct link_type region_type = {
	.send = region_send,
	.recv = region_recv,
	.flush = region_flush,
	.dispatch = region_dispatch,
	.fault = region_fault,
	.close = region_close,
	.events = EPOLLIN,
};

struct kring_host *link_region_host(struct link *link)
{
	return to_region(link)->host;
}

int link_region(struct link **link, const char *region, const char *doorbell,
		struct kring_error *err)
{
	struct kring_attach_args args = { .region = region, .doorbell = doorbell };
	struct region_link *r;
	size_t max;
	int code;

	r = calloc(1, sizeof(*r));
	if (!r) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	code = kring_host_attach(&r->host, &args, err);
	if (code)
		goto free_link;

	max = kring_host_frame_max(r->host);
	if (max < KRING_STREAM_FRAME_MIN) {
		snprintf(err->text, sizeof(err->text),
			 "%.128s: its frames of %zu bytes are too small for streams, which need %d",
			 region, max, KRING_STREAM_FRAME_MIN);
		code = -EMSGSIZE;
		goto detach;
	}
	r->link.type = &region_type;
	r->link.fd = kring_host_fd(r->host);
	r->link.frame_max = max < KRING_STREAM_FRAME_MAX ? max : KRING_STREAM_FRAME_MAX;
	*link = &r->link;
	return 0;

detach:
	kring_host_detach(r->host);
free_link:
	free(r);
	return code;
}
