/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Finding a kring device, and waiting for one that is not there yet: with libudev, or in
 * the static build, which is for guests that have none, by watching /dev.
 */
#ifndef KRINGD_DISCOVER_H
#define KRINGD_DISCOVER_H

#include <limits.h>

#include "loop.h"

struct discover;

/**
 * struct discover_ops - what happens
 * @appeared: a device may be there now: discover_look()
 * @stopped: nothing is under way any more, after discover_stop()
 */
struct discover_ops {
	void (*appeared)(void *owner);
	void (*stopped)(void *owner);
};

/**
 * discover_look() - the first device that there is
 * @wanted: path of the only one that will do, NULL: any
 * @path: to fill, PATH_MAX bytes
 *
 * Return: 0, -ENOENT: there is none; another negative errno.
 */
int discover_look(const char *wanted, char *path);

/**
 * discover_start() - watch out from now on
 * @discover: the watch, freed before ops.stopped is called
 * @loop: event loop
 * @wanted: as for discover_look(); stays the caller's
 * @ops: callbacks
 * @owner: for them
 *
 * To miss nothing, look once more after this.
 *
 * Return: 0 or a negative errno.
 */
int discover_start(struct discover **discover, struct loop *loop, const char *wanted,
		   const struct discover_ops *ops, void *owner);

/* ops.stopped is called later. */
void discover_stop(struct discover *discover);

/*
 * claim.c: virtio_console has a port named kring.*: ask kring.ko to take it, as a doorbell.
 * The udev rule does the same; not every guest runs udev.
 */
void claim_ports(void);

#endif /* KRINGD_DISCOVER_H */
