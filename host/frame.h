/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The header of a frame of streams, in the processor's byte order.
 */
#ifndef KRING_FRAME_H
#define KRING_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <kring/barrier.h>
#include <kring/stream.h>

/** struct frame - struct kring_stream_header, read */
struct frame {
	uint8_t type;
	uint8_t channel;
	uint16_t flags;
	uint32_t stream;
	uint64_t offset;
};

#define FRAME_HEADER	sizeof(struct kring_stream_header)

/* Whether there is a whole header; @buf is private memory. */
static inline bool frame_load(struct frame *f, const void *buf, size_t len)
{
	struct kring_stream_header h;

	if (len < sizeof(h))
		return false;
	memcpy(&h, buf, sizeof(h));
	f->type = h.type;
	f->channel = h.channel;
	f->flags = le16toh(h.flags);
	f->stream = le32_to_cpu(h.stream);
	f->offset = le64_to_cpu(h.offset);
	return true;
}

static inline void frame_store(const struct frame *f, void *buf)
{
	struct kring_stream_header h = {
		.type = f->type,
		.channel = f->channel,
		.flags = htole16(f->flags),
		.stream = cpu_to_le32(f->stream),
		.offset = cpu_to_le64(f->offset),
	};

	memcpy(buf, &h, sizeof(h));
}

#endif /* KRING_FRAME_H */
