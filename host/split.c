// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Frames in pieces.
 */
#include "frame.h"
#include "split.h"

/* A message that is cut must say that it goes on, bytes where they belong. */
static void mark(struct frame *f, size_t done, bool last)
{
	if (f->type == KRING_STREAM_DATA || f->type == KRING_STREAM_CONTROL)
		f->offset += done;
	else if (!last)
		f->flags |= KRING_STREAM_MORE;
}

static bool goes_on(const struct frame *f)
{
	switch (f->type) {
	case KRING_STREAM_OPEN:
	case KRING_STREAM_ACCEPT:
	case KRING_STREAM_CLOSE:
	case KRING_STREAM_CONTROL:
	case KRING_STREAM_DATA:
		return true;
	}
	return false;
}

size_t split_next(const void *frame, size_t len, size_t *done, size_t max, void *buf)
{
	size_t left = len - FRAME_HEADER - *done, n = left;
	const uint8_t *payload = (const uint8_t *)frame + FRAME_HEADER + *done;
	struct frame f = { 0 };

	frame_load(&f, frame, len);
	if (n > max - FRAME_HEADER)
		n = max - FRAME_HEADER;
	if (goes_on(&f)) {
		mark(&f, *done, n == left);
		*done += n;
	} else {
		*done += left;
	}
	frame_store(&f, buf);
	memcpy((uint8_t *)buf + FRAME_HEADER, payload, n);
	return FRAME_HEADER + n;
}
