// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/kring as guest programs use it, mapped or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device_internal.h"

static int device_mode(unsigned int flags)
{
	switch (flags & (KRING_DEVICE_READ | KRING_DEVICE_WRITE)) {
	case KRING_DEVICE_READ:
		return O_RDONLY;
	case KRING_DEVICE_WRITE:
		return O_WRONLY;
	case KRING_DEVICE_READ | KRING_DEVICE_WRITE:
		return O_RDWR;
	default:
		return -1;
	}
}

/* Mapped where that is possible. */
static int device_choose(struct kring_device *dev, const struct kring_info *info,
			 struct kring_error *err)
{
	int code = -EOPNOTSUPP;

	if (device_mode(dev->flags) == O_RDWR && !(dev->flags & KRING_DEVICE_COPY))
		code = kring_device_map(dev, info, err);
	dev->ops = code ? &kring_device_copied_ops : &kring_device_mapped_ops;
	return code == -EOPNOTSUPP ? 0 : code;
}

int kring_device_open(const char *path, unsigned int flags, struct kring_device **dev,
		      struct kring_error *err)
{
	int mode = device_mode(flags);
	struct kring_device *made;
	struct kring_info info;
	bool host;
	int code;

	if (mode < 0)
		return kring_error(err, -EINVAL, "neither KRING_DEVICE_READ nor _WRITE");
	made = calloc(1, sizeof(*made));
	if (!made)
		return kring_error(err, -ENOMEM, "no memory");
	made->flags = flags;
	made->fd = open(path, mode | O_NONBLOCK | O_CLOEXEC);
	if (made->fd < 0) {
		code = -errno;
		kring_error_path(err, code, path, "%s",
				 code == -EBUSY ? "another open file holds it" : strerror(-code));
		goto free_device;
	}
	code = kring_device_info(made, &info);
	if (code) {
		code = code == -ENODEV ? code : -EINVAL;
		kring_error_path(err, code, path, "%s",
				 code == -ENODEV ? strerror(ENODEV) : "it is not a kring");
		goto close_file;
	}
	host = info.flags & KRING_INFO_HOST;
	made->in_max = host ? info.g2h_frame_max : info.h2g_frame_max;
	made->out_max = host ? info.h2g_frame_max : info.g2h_frame_max;
	code = device_choose(made, &info, err);
	if (code)
		goto close_file;
	*dev = made;
	return 0;

close_file:
	close(made->fd);
free_device:
	free(made);
	return code;
}

/* A mapping holds the file, so it goes first. */
void kring_device_close(struct kring_device *dev)
{
	if (!dev)
		return;
	dev->ops->close(dev);
	close(dev->fd);
	free(dev);
}

int kring_device_fd(const struct kring_device *dev)
{
	return dev->fd;
}

bool kring_device_mapped(const struct kring_device *dev)
{
	return dev->ops == &kring_device_mapped_ops;
}

int kring_device_info(const struct kring_device *dev, struct kring_info *info)
{
	return ioctl(dev->fd, KRING_IOC_INFO, info) ? -errno : 0;
}

int kring_device_peek(struct kring_device *dev, const void **payload, size_t *len)
{
	int code;

	if (!(dev->flags & KRING_DEVICE_READ))
		return -EBADF;
	if (!dev->in.len) {
		code = dev->ops->peek(dev);
		if (code)
			return code;
	}
	*payload = dev->in.payload;
	*len = dev->in.len;
	return 0;
}

int kring_device_advance(struct kring_device *dev)
{
	int code;

	if (!dev->in.len)
		return -EINVAL;
	code = dev->ops->advance(dev);
	dev->in.len = 0;
	return code;
}

int kring_device_reserve(struct kring_device *dev, size_t len, void **payload)
{
	int code;

	if (!(dev->flags & KRING_DEVICE_WRITE))
		return -EBADF;
	dev->out.len = 0;
	if (!len)
		return -EINVAL;
	if (len > dev->out_max)
		return -EMSGSIZE;
	code = dev->ops->reserve(dev, len);
	if (!code)
		*payload = dev->out.payload;
	return code;
}

int kring_device_commit(struct kring_device *dev, size_t len)
{
	int code;

	if (!len || len > dev->out.len)
		return -EINVAL;
	code = dev->ops->commit(dev, len);
	if (code != -EAGAIN)
		dev->out.len = 0;
	return code;
}

int kring_device_prepare(struct kring_device *dev, short events)
{
	int ready = 0;

	if ((events & POLLIN) && dev->in.len)
		ready = POLLIN;
	return ready | dev->ops->prepare(dev, events & ~ready);
}

int kring_device_wait(struct kring_device *dev, short events, int timeout)
{
	struct pollfd p = { .fd = dev->fd, .events = events };
	int ready = kring_device_prepare(dev, events);

	if (poll(&p, 1, ready ? 0 : timeout) < 0)
		return -errno;
	return ready | p.revents;
}

int kring_device_reset(struct kring_device *dev)
{
	dev->in.len = 0;
	dev->out.len = 0;
	return dev->ops->reset(dev);
}
