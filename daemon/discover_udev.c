// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Devices, with libudev. Events are the kernel's own, as devtmpfs has made the node by
 * then: so this works without udevd too.
 */
#ifndef KRINGD_STATIC

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libudev.h>

#include "discover.h"

/**
 * struct discover - the watch
 * @loop: event loop
 * @udev: the library's
 * @monitor: what has events
 * @op: waits for them
 * @ops: callbacks
 * @owner: for them
 * @stopping: it is to be freed when @op is over
 */
struct discover {
	struct loop *loop;
	struct udev *udev;
	struct udev_monitor *monitor;
	struct loop_op op;
	const struct discover_ops *ops;
	void *owner;
	bool stopping;
};

/* Node of the first device of those in @list that are there: whether there is one. */
static bool discover_pick(struct udev *udev, struct udev_list_entry *list, const char *wanted,
			  char *path)
{
	struct udev_list_entry *entry;
	struct udev_device *device;
	const char *node;

	*path = '\0';
	udev_list_entry_foreach(entry, list) {
		device = udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));
		if (!device)
			continue;
		node = udev_device_get_devnode(device);
		if (node && !access(node, F_OK) && (!wanted || !strcmp(wanted, node)) &&
		    (!*path || strverscmp(node, path) < 0))
			snprintf(path, PATH_MAX, "%s", node);
		udev_device_unref(device);
	}
	return *path;
}

int discover_look(const char *wanted, char *path)
{
	struct udev_enumerate *all;
	struct udev *udev;
	int err = -ENOMEM;

	/* A name of somebody's own, such as a link, udev knows nothing of. */
	if (wanted && !access(wanted, F_OK)) {
		snprintf(path, PATH_MAX, "%s", wanted);
		return 0;
	}
	udev = udev_new();
	if (!udev)
		return -ENOMEM;
	all = udev_enumerate_new(udev);
	if (!all)
		goto free_udev;
	err = udev_enumerate_add_match_subsystem(all, "kring");
	if (err >= 0)
		err = udev_enumerate_scan_devices(all);
	if (err < 0)
		goto free_all;
	err = discover_pick(udev, udev_enumerate_get_list_entry(all), wanted, path) ?
		0 : -ENOENT;
free_all:
	udev_enumerate_unref(all);
free_udev:
	udev_unref(udev);
	return err;
}

static void discover_free(struct discover *discover)
{
	const struct discover_ops *ops = discover->ops;
	void *owner = discover->owner;

	udev_monitor_unref(discover->monitor);
	udev_unref(discover->udev);
	free(discover);
	ops->stopped(owner);
}

static void discover_event(struct loop_op *op, int result)
{
	struct discover *discover = container_of(op, struct discover, op);
	struct udev_device *device;
	bool ports = false;

	if (discover->stopping) {
		discover_free(discover);
		return;
	}
	while ((device = udev_monitor_receive_device(discover->monitor))) {
		if (!strcmp(udev_device_get_subsystem(device), "virtio-ports"))
			ports = true;
		udev_device_unref(device);
	}
	loop_poll(discover->loop, op, udev_monitor_get_fd(discover->monitor), POLLIN);
	if (ports)
		claim_ports();
	if (result >= 0)
		discover->ops->appeared(discover->owner);
}

int discover_start(struct discover **to, struct loop *loop, const char *wanted,
		   const struct discover_ops *ops, void *owner)
{
	struct discover *discover;
	int err = -ENOMEM;

	(void)wanted;
	discover = calloc(1, sizeof(*discover));
	if (!discover)
		return -ENOMEM;
	discover->udev = udev_new();
	if (!discover->udev)
		goto free_discover;
	discover->monitor = udev_monitor_new_from_netlink(discover->udev, "kernel");
	if (!discover->monitor)
		goto free_udev;
	err = udev_monitor_filter_add_match_subsystem_devtype(discover->monitor, "kring", NULL);
	if (err >= 0)
		err = udev_monitor_filter_add_match_subsystem_devtype(discover->monitor,
								      "virtio-ports", NULL);
	if (err >= 0)
		err = udev_monitor_enable_receiving(discover->monitor);
	if (err < 0)
		goto free_monitor;

	discover->loop = loop;
	discover->ops = ops;
	discover->owner = owner;
	discover->op.done = discover_event;
	loop_poll(loop, &discover->op, udev_monitor_get_fd(discover->monitor), POLLIN);
	*to = discover;
	return 0;

free_monitor:
	udev_monitor_unref(discover->monitor);
free_udev:
	udev_unref(discover->udev);
free_discover:
	free(discover);
	return err;
}

void discover_stop(struct discover *discover)
{
	discover->stopping = true;
	loop_cancel(discover->loop, &discover->op);
}

#endif /* KRINGD_STATIC */
