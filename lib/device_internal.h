/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An open device, and the two ways to use it: device_mapped.c, device_copied.c.
 */
#ifndef KRING_DEVICE_INTERNAL_H
#define KRING_DEVICE_INTERNAL_H

#include "device.h"
#include "internal.h"

/**
 * struct device_ops - one way to use a device; each verb as in device.h
 * @peek: @dev is open for reading, nothing is peeked
 * @advance: something is peeked
 * @reserve: @dev is open for writing
 * @commit: @len bytes of what is reserved
 * @prepare: events that are ready
 * @reset: both directions
 * @close: forget what open has made
 */
struct device_ops {
	int (*peek)(struct kring_device *dev);
	int (*advance)(struct kring_device *dev);
	int (*reserve)(struct kring_device *dev, size_t len);
	int (*commit)(struct kring_device *dev, size_t len);
	int (*prepare)(struct kring_device *dev, short events);
	int (*reset)(struct kring_device *dev);
	void (*close)(struct kring_device *dev);
};

/**
 * struct device_map - the region of a mapped device
 * @base: all of it, own parts writable
 * @size: bytes
 * @consumer: of what comes in
 * @producer: of what goes out
 * @wants_data: that is announced
 * @wants_space: that is announced
 */
struct device_map {
	void *base;
	size_t size;
	struct kring_consumer consumer;
	struct kring_producer producer;
	bool wants_data;
	bool wants_space;
};

/**
 * struct device_buffer - a copy of one frame
 * @bytes: malloc'ed
 * @size: of @bytes
 */
struct device_buffer {
	uint8_t *bytes;
	size_t size;
};

/**
 * struct kring_device - one end of a region
 * @ops: how it is used
 * @fd: the open device, O_NONBLOCK
 * @flags: KRING_DEVICE_*
 * @in: the frame that was peeked; len 0: none
 * @out: the frame that was reserved; len 0: none
 * @in_max: largest frame that comes in
 * @out_max: largest frame that goes out
 * @map: of a mapped device
 * @in_copy: of one that is not
 * @out_copy: of one that is not
 */
struct kring_device {
	const struct device_ops *ops;
	int fd;
	unsigned int flags;
	struct kring_frame in;
	struct kring_frame out;
	uint32_t in_max;
	uint32_t out_max;
	struct device_map map;
	struct device_buffer in_copy;
	struct device_buffer out_copy;
};

extern const struct device_ops kring_device_mapped_ops;
extern const struct device_ops kring_device_copied_ops;

/* Return: 0, -EOPNOTSUPP: it can be used by copies alone, or another negative errno. */
int kring_device_map(struct kring_device *dev, const struct kring_info *info,
		     struct kring_error *err);

#endif /* KRING_DEVICE_INTERNAL_H */
