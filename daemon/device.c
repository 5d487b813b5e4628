// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The kring device.
 *
 * It may be missing, be unplugged, be held by somebody else, or be poisoned by a host that
 * wrote nonsense. All end here: wait for it to appear, or try again after a while, which
 * grows for a device that fails again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/kring.h>

#include "clock.h"
#include "device.h"
#include "discover.h"
#include "doorbell.h"
#include "link.h"
#include "log.h"

/* Seconds: the first wait, the longest one, and what counts as a success. */
#define RETRY_MIN	1
#define RETRY_MAX	30
#define GOOD		30

/**
 * struct device - the device, or the search for it
 * @agent: whose link it becomes
 * @discover: waits for it to appear, NULL: no need
 * @doorbell: that the driver does not have, NULL: none
 * @path: of the device, NULL: never found
 * @linked: it is open
 * @stopping: it is to be freed when nothing is under way
 * @retry: waits before it is tried again
 * @wait: seconds that the next wait takes
 * @opened: CLOCK_MONOTONIC seconds
 * @complaint: negative errno that was logged last, not to be logged again
 */
struct device {
	struct agent *agent;
	struct discover *discover;
	struct doorbell *doorbell;
	char *path;
	bool linked;
	bool stopping;
	struct loop_op retry;
	unsigned int wait;
	time_t opened;
	int complaint;
};

static time_t now(void)
{
	return clock_now(CLOCK_MONOTONIC) / 1000000000;
}

static void device_try(struct device *device);

static void device_put(struct device *device)
{
	if (device->discover || device->retry.busy || device->linked)
		return;
	free(device->path);
	free(device);
}

static void device_try_later(struct device *device)
{
	loop_timeout(&device->agent->loop, &device->retry, device->wait * 1000000000ull);
	device->wait *= 2;
	if (device->wait > RETRY_MAX)
		device->wait = RETRY_MAX;
}

/* One frame that is longer than any of ours: read it, so that it is out of the way. */
static int device_discard(struct link *link)
{
	const unsigned int parts = 1024;
	struct kring_info info;
	struct iovec *iov;
	size_t size;
	void *buf;
	ssize_t ret;
	unsigned int i;

	if (ioctl(link->fd, KRING_IOC_INFO, &info))
		return -errno;
	/* The bytes are of no use: all parts of the frame may lie over one another. */
	size = info.h2g_frame_max / parts + 1;
	buf = malloc(size);
	iov = malloc(parts * sizeof(*iov));
	if (!buf || !iov) {
		ret = -ENOMEM;
		goto free_both;
	}
	for (i = 0; i < parts; i++)
		iov[i] = (struct iovec){ .iov_base = buf, .iov_len = size };
	ret = readv(link->fd, iov, parts);
	if (ret < 0)
		ret = -errno;
	else
		agent_strange(link->agent, "a frame of %zd bytes was dropped", ret);
free_both:
	free(iov);
	free(buf);
	return ret < 0 ? ret : 0;
}

static ssize_t device_receive(struct link *link, void *buf, size_t size)
{
	ssize_t ret;

	do {
		ret = read(link->fd, buf, size);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0 && errno == EMSGSIZE)
		return device_discard(link);
	return ret < 0 ? -errno : ret;
}

static int device_send(struct link *link, const void *buf, size_t len)
{
	ssize_t ret;

	do {
		ret = write(link->fd, buf, len);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int device_event(struct link *link, unsigned int events)
{
	struct device *device = link->owner;
	struct kring_info info;

	if (events & POLLHUP)
		return -ENODEV;
	if (ioctl(link->fd, KRING_IOC_INFO, &info))
		return -errno;
	if (info.flags & (KRING_INFO_H2G_POISONED | KRING_INFO_G2H_POISONED))
		return -EBADMSG;
	if (info.generation != device->agent->hello.generation) {
		log_info("device %s: generation %llu", device->path,
			 (unsigned long long)info.generation);
		agent_link_changed(device->agent, info.generation);
	}
	return 0;
}

static void device_closed(struct link *link, int error)
{
	struct device *device = link->owner;

	device->linked = false;
	device->agent->sysfs[0] = '\0';
	doorbell_free(device->doorbell);
	device->doorbell = NULL;
	if (device->stopping) {
		device_put(device);
		return;
	}
	if (error == -ENODEV)
		log_warning("device %s: gone", device->path);
	else if (error == -EBADMSG)
		log_error("device %s: poisoned: what the host has published makes no sense",
			  device->path);
	else
		log_error("device %s: %s", device->path, strerror(-error));
	if (now() - device->opened >= GOOD)
		device->wait = RETRY_MIN;
	if (error == -ENODEV)
		device_try(device);
	else
		device_try_later(device);
}

static const struct link_ops device_ops = {
	.receive = device_receive,
	.send = device_send,
	.event = device_event,
	.closed = device_closed,
	.keep = true,
};

/* Make a link of the open device. 0 or a negative errno. */
static int device_link(struct device *device, int fd)
{
	struct agent *agent = device->agent;
	struct kring_info info;
	struct stat st;
	uint32_t frame_max;

	if (fstat(fd, &st) || ioctl(fd, KRING_IOC_INFO, &info))
		return -errno;
	if (info.flags & (KRING_INFO_H2G_POISONED | KRING_INFO_G2H_POISONED)) {
		if (ioctl(fd, KRING_IOC_RESET))
			return -errno;
		log_info("device %s: its rings were taken up anew", device->path);
	}
	frame_max = info.g2h_frame_max < KRING_STREAM_FRAME_MAX ? info.g2h_frame_max :
								   KRING_STREAM_FRAME_MAX;
	if (frame_max < KRING_STREAM_FRAME_MIN)
		return -EMSGSIZE;
	snprintf(agent->sysfs, sizeof(agent->sysfs), "/sys/dev/char/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	log_info("device %s: region %.*s, generation %llu, rings of %u and %u KiB, %s",
		 device->path, (int)sizeof(info.name), info.name,
		 (unsigned long long)info.generation, info.h2g_size / 1024, info.g2h_size / 1024,
		 info.flags & KRING_INFO_DOORBELL ? "with a doorbell" : "no doorbell yet");
	return link_open(agent, &device_ops, device, fd, frame_max, info.generation);
}

static void device_ring(struct device *device, int fd)
{
	const char *address = device->agent->config.doorbell;
	int err;

	if (!address)
		return;
	err = doorbell_new(&device->doorbell, &device->agent->loop, address, fd);
	if (err)
		log_warning("doorbell %s: %s", address,
			    err == -EBUSY ? "the device has another one" : strerror(-err));
}

static int device_open(struct device *device)
{
	int fd, err;

	fd = open(device->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = device_link(device, fd);
	if (err) {
		close(fd);
		return err;
	}
	device->linked = true;
	device->opened = now();
	device_ring(device, fd);
	return 0;
}

static void device_complain(struct device *device, int error)
{
	if (error == device->complaint)
		return;
	device->complaint = error;
	if (error == -EBUSY)
		log_error("device %s: somebody else has it open; waiting", device->path);
	else if (error == -EBADMSG)
		log_error("device %s: still poisoned; waiting for the host to mend it",
			  device->path);
	else if (error == -EMSGSIZE)
		log_error("device %s: its rings are too small for streams", device->path);
	else if (error == -ENOTTY)
		log_error("device %s: no kring device", device->path);
	else
		log_error("device %s: %s", device->path, strerror(-error));
}

/* The device's path: 0, or -ENOENT and others. */
static int device_find(struct device *device)
{
	char path[PATH_MAX], *copy;
	int err;

	err = discover_look(device->agent->config.device, path);
	if (err)
		return err;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(device->path);
	device->path = copy;
	return 0;
}

static void device_appeared(void *owner)
{
	struct device *device = owner;

	/* Whatever it was that failed: this is another one. */
	if (device->retry.busy)
		loop_cancel(&device->agent->loop, &device->retry);
	else
		device_try(device);
}

static void device_watch_stopped(void *owner)
{
	struct device *device = owner;

	device->discover = NULL;
	if (device->stopping)
		device_put(device);
	else
		device_try(device);
}

static const struct discover_ops device_discover_ops = {
	.appeared = device_appeared,
	.stopped = device_watch_stopped,
};

/* Wait for it to appear. Whether it has meanwhile. */
static bool device_watch(struct device *device)
{
	struct agent *agent = device->agent;
	const char *wanted = agent->config.device;
	int err;

	if (device->discover)
		return false;
	err = discover_start(&device->discover, &agent->loop, wanted, &device_discover_ops,
			     device);
	if (err) {
		log_error("waiting for a device: %s", strerror(-err));
		device->discover = NULL;
		device_try_later(device);
		return false;
	}
	log_info("waiting for %s", wanted ? wanted : "a kring device");
	return !device_find(device);
}

static void device_try(struct device *device)
{
	int err;

	if (device->linked || device->retry.busy)
		return;
	err = device_find(device);
	if (err == -ENOENT) {
		if (!device_watch(device))
			return;
		err = 0;
	}
	if (!err)
		err = device_open(device);
	if (err) {
		/* Gone since we have found it: no more to say of that. */
		if (err != -ENOENT && err != -ENODEV && err != -ENXIO)
			device_complain(device, err);
		device_try_later(device);
		return;
	}
	device->complaint = 0;
	/* What the watch takes of memory is not needed any more. */
	if (device->discover)
		discover_stop(device->discover);
}

static void device_retry(struct loop_op *op, int result)
{
	struct device *device = container_of(op, struct device, retry);

	(void)result;
	if (device->stopping)
		device_put(device);
	else
		device_try(device);
}

int device_new(struct device **to, struct agent *agent)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return -ENOMEM;
	device->agent = agent;
	device->retry.done = device_retry;
	device->wait = RETRY_MIN;
	claim_ports();
	device_try(device);
	*to = device;
	return 0;
}

void device_free(struct device *device)
{
	if (!device)
		return;
	device->stopping = true;
	if (device->linked && device->agent->link)
		link_close(device->agent->link, -ESHUTDOWN);
	if (device->discover)
		discover_stop(device->discover);
	loop_cancel(&device->agent->loop, &device->retry);
	device_put(device);
}
