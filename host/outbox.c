// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Frames on their way to a client of the broker.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "outbox.h"

/**
 * struct outbox_frame - one that waits
 * @link: in the queue
 * @len: its bytes
 * @credited: the client has given credit for it
 * @bytes: it
 */
struct outbox_frame {
	STAILQ_ENTRY(outbox_frame) link;
	uint32_t len;
	bool credited;
	uint8_t bytes[];
};

/* What malloc() adds counts too: else frames of one byte would cost nothing. */
#define MALLOC_COST	16

static size_t cost(const struct outbox_frame *f)
{
	return MALLOC_COST + sizeof(*f) + f->len;
}

void outbox_init(struct outbox *box)
{
	memset(box, 0, sizeof(*box));
	STAILQ_INIT(&box->frames);
}

bool outbox_empty(const struct outbox *box)
{
	return STAILQ_EMPTY(&box->frames);
}

static void drop_first(struct outbox *box)
{
	struct outbox_frame *f = STAILQ_FIRST(&box->frames);

	STAILQ_REMOVE_HEAD(&box->frames, link);
	box->memory -= cost(f);
	if (!f->credited)
		box->uncredited -= cost(f);
	free(f);
}

void outbox_clear(struct outbox *box)
{
	while (!outbox_empty(box))
		drop_first(box);
}

static int send_frame(int fd, const void *frame, size_t len)
{
	ssize_t n;

	do
		n = send(fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	/* Memory for sockets runs out for a while only. */
	if (n < 0)
		return errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
	return 0;
}

static int keep(struct outbox *box, const void *frame, size_t len, bool credited)
{
	struct outbox_frame *f = malloc(sizeof(*f) + len);

	if (!f)
		return -ENOMEM;
	f->len = len;
	f->credited = credited;
	memcpy(f->bytes, frame, len);
	STAILQ_INSERT_TAIL(&box->frames, f, link);
	box->memory += cost(f);
	if (!credited)
		box->uncredited += cost(f);
	return box->uncredited > OUTBOX_UNCREDITED_MAX ? -EOVERFLOW : 0;
}

int outbox_send(struct outbox *box, int fd, const void *frame, size_t len, bool credited)
{
	int code = -EAGAIN;

	if (outbox_empty(box))
		code = send_frame(fd, frame, len);
	return code == -EAGAIN ? keep(box, frame, len, credited) : code;
}

int outbox_flush(struct outbox *box, int fd)
{
	const struct outbox_frame *f;
	int code;

	while ((f = STAILQ_FIRST(&box->frames))) {
		code = send_frame(fd, f->bytes, f->len);
		if (code)
			return code;
		drop_first(box);
	}
	return 0;
}
