// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A device that is not mapped: read() and write(), and a copy of one frame in each direction.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device_internal.h"

/* Most frames are smaller than this. */
#define FIRST_SIZE	65536

static int buffer_grow(struct device_buffer *b, size_t size)
{
	uint8_t *bytes;

	if (size <= b->size)
		return 0;
	bytes = realloc(b->bytes, size);
	if (!bytes)
		return -ENOMEM;
	b->bytes = bytes;
	b->size = size;
	return 0;
}

/* A frame that is larger than the buffer stays. */
static int copied_peek(struct kring_device *dev)
{
	struct device_buffer *b = &dev->in_copy;
	size_t size = b->size ? b->size : FIRST_SIZE;
	ssize_t len;
	int code;

	for (;;) {
		code = buffer_grow(b, size < dev->in_max ? size : dev->in_max);
		if (code)
			return code;
		len = read(dev->fd, b->bytes, b->size);
		if (len > 0)
			break;
		if (!len)
			return -ENODEV;
		if (errno == EINTR)
			continue;
		if (errno != EMSGSIZE || b->size >= dev->in_max)
			return -errno;
		size = 2 * b->size;
	}
	dev->in.payload = b->bytes;
	dev->in.len = len;
	return 0;
}

static int copied_advance(struct kring_device *dev)
{
	(void)dev;
	return 0;
}

static int copied_reserve(struct kring_device *dev, size_t len)
{
	struct pollfd p = { .fd = dev->fd, .events = POLLOUT };
	int code = buffer_grow(&dev->out_copy, len);

	if (code)
		return code;
	/* What can be known of room without a write. */
	if (poll(&p, 1, 0) < 0)
		return -errno;
	if (p.revents & POLLHUP)
		return -ENODEV;
	if (!(p.revents & (POLLOUT | POLLERR)))
		return -EAGAIN;
	dev->out.payload = dev->out_copy.bytes;
	dev->out.len = len;
	return 0;
}

static int copied_commit(struct kring_device *dev, size_t len)
{
	ssize_t sent;

	do {
		sent = write(dev->fd, dev->out.payload, len);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* poll() announces by itself. */
static int copied_prepare(struct kring_device *dev, short events)
{
	(void)dev;
	(void)events;
	return 0;
}

static int copied_reset(struct kring_device *dev)
{
	return ioctl(dev->fd, KRING_IOC_RESET) ? -errno : 0;
}

static void copied_close(struct kring_device *dev)
{
	free(dev->in_copy.bytes);
	free(dev->out_copy.bytes);
}

const struct device_ops kring_device_copied_ops = {
	.peek = copied_peek,
	.advance = copied_advance,
	.reserve = copied_reserve,
	.commit = copied_commit,
	.prepare = copied_prepare,
	.reset = copied_reset,
	.close = copied_close,
};
