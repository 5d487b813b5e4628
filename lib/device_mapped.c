// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A mapped device: this program is the consumer and the producer, by <kring/ring.h>.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "device_internal.h"

/* A skip alone may be published again and again: not looked behind for ever. */
#define LOOKS	3

static int mapped_kick(struct kring_device *dev, bool awaited)
{
	return awaited && ioctl(dev->fd, KRING_IOC_KICK) ? -errno : 0;
}

/*
 * Own cursors are compared with what is published, which nobody else writes: a region from
 * another moment than our memory is an error.
 */
static int mapped_peek(struct kring_device *dev)
{
	struct kring_consumer *c = &dev->map.consumer;
	int looks = LOOKS;
	int code;

	if (kring_consumer_check(c))
		return -EBADMSG;
	do {
		code = kring_peek(c, &dev->in);
		if (code != -EAGAIN || !kring_unreleased(c))
			break;
		code = mapped_kick(dev, kring_release(c));
		if (code)
			return code;
		code = -EAGAIN;
	} while (--looks);
	if (code) {
		dev->in.len = 0;
		return code;
	}
	if (dev->map.wants_data)
		kring_got_data(c);
	dev->map.wants_data = false;
	return 0;
}

static int mapped_advance(struct kring_device *dev)
{
	struct kring_consumer *c = &dev->map.consumer;

	kring_advance(c, &dev->in);
	return mapped_kick(dev, kring_release(c));
}

static int mapped_reserve(struct kring_device *dev, size_t len)
{
	struct kring_producer *p = &dev->map.producer;
	int code;

	if (kring_producer_check(p))
		return -EBADMSG;
	code = kring_reserve(p, len, &dev->out);
	if (code)
		return code;
	if (dev->map.wants_space)
		kring_got_space(p);
	dev->map.wants_space = false;
	return 0;
}

static int mapped_commit(struct kring_device *dev, size_t len)
{
	struct kring_producer *p = &dev->map.producer;

	dev->out.len = len;
	kring_commit(p, &dev->out);
	return mapped_kick(dev, kring_submit(p));
}

static int mapped_prepare(struct kring_device *dev, short events)
{
	int ready = 0;

	if (events & POLLIN) {
		dev->map.wants_data = true;
		if (kring_want_data(&dev->map.consumer))
			ready |= POLLIN;
	}
	if (events & POLLOUT) {
		dev->map.wants_space = true;
		if (kring_want_space(&dev->map.producer))
			ready |= POLLOUT;
	}
	return ready;
}

/* Whoever attaches kicks once and looks once. */
static int mapped_attach(struct kring_device *dev, const struct kring_ring *in,
			 const struct kring_ring *out)
{
	int consumer = kring_consumer_attach(&dev->map.consumer, in);
	int producer = kring_producer_attach(&dev->map.producer, out);
	int kick = mapped_kick(dev, true);

	if (kick)
		return kick;
	return consumer ? consumer : producer;
}

static int mapped_reset(struct kring_device *dev)
{
	struct kring_ring in = dev->map.consumer.ring, out = dev->map.producer.ring;

	return mapped_attach(dev, &in, &out);
}

/* Nobody sleeps any more. */
static void mapped_close(struct kring_device *dev)
{
	munmap(dev->map.base, dev->map.size);
}

const struct device_ops kring_device_mapped_ops = {
	.peek = mapped_peek,
	.advance = mapped_advance,
	.reserve = mapped_reserve,
	.commit = mapped_commit,
	.prepare = mapped_prepare,
	.reset = mapped_reset,
	.close = mapped_close,
};

/* Make [@offset, @offset + @size) of the mapping writable, which claims the cursor. */
static int map_own(struct kring_device *dev, uint64_t offset, size_t size)
{
	void *at = mmap((char *)dev->map.base + offset, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED, dev->fd, offset);

	return at == MAP_FAILED ? -errno : 0;
}

static int map_parts(struct kring_device *dev, const struct kring_layout *l, bool host)
{
	const struct kring_place *in = host ? &l->g2h : &l->h2g, *out = host ? &l->h2g : &l->g2h;
	int code;

	code = map_own(dev, in->tail, l->granule);
	if (!code)
		code = map_own(dev, out->head, l->granule);
	if (!code)
		code = map_own(dev, out->data, out->size);
	return code;
}

/* The header, which must be looked at before it is known how much there is. */
static int map_layout(struct kring_device *dev, struct kring_layout *l, struct kring_error *err)
{
	union kring_any_header h;
	struct kring_fault fault;
	void *page;
	int code;

	page = mmap(NULL, sizeof(h), PROT_READ, MAP_SHARED, dev->fd, 0);
	if (page == MAP_FAILED)
		return kring_error(err, -errno, "mmap of the header: %s", strerror(errno));
	memcpy(&h, page, sizeof(h));
	munmap(page, sizeof(h));
	code = kring_header_check(&h, UINT64_MAX, l, &fault);
	return code ? kring_error_fault(err, code, NULL, &fault) : 0;
}

int kring_device_map(struct kring_device *dev, const struct kring_info *info,
		     struct kring_error *err)
{
	bool host = info->flags & KRING_INFO_HOST;
	struct kring_ring h2g, g2h;
	struct kring_layout l;
	int code;

	code = map_layout(dev, &l, err);
	if (code)
		return code;
	dev->map.size = l.region_size;
	dev->map.base = mmap(NULL, dev->map.size, PROT_READ, MAP_SHARED, dev->fd, 0);
	if (dev->map.base == MAP_FAILED)
		return kring_error(err, -errno, "mmap of the region: %s", strerror(errno));
	code = map_parts(dev, &l, host);
	if (code) {
		kring_error(err, code, "mmap of what is to be written: %s", strerror(-code));
		goto unmap;
	}
	kring_layout_rings(&l, dev->map.base, &h2g, &g2h);
	code = host ? mapped_attach(dev, &g2h, &h2g) : mapped_attach(dev, &h2g, &g2h);
	/* A poisoned ring is told by its verbs, as the other one works. */
	if (!code || code == -EBADMSG)
		return 0;
	kring_error(err, code, "%s", strerror(-code));
unmap:
	munmap(dev->map.base, dev->map.size);
	return code;
}
