/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A doorbell that the driver does not have: bytes on a serial line, a port of a shared
 * console, a unix socket or a vsock connection, each a kick. kringd carries kicks between
 * that and the driver's eventfds.
 *
 * A kick that is lost costs a moment, as the driver's timer looks as well. So while there is
 * no connection, there is nothing to be done but to try again.
 */
#ifndef KRINGD_DOORBELL_H
#define KRINGD_DOORBELL_H

#include "loop.h"

struct doorbell;

/* Whether @address is one: /PATH or vsock:CID:PORT. */
bool doorbell_valid(const char *address);

/**
 * doorbell_new() - be the doorbell of a device
 * @doorbell: the new one
 * @loop: event loop
 * @address: of the line; stays the caller's
 * @device: the open device
 *
 * Return: 0 or a negative errno, such as -EBUSY: the device has a doorbell.
 */
int doorbell_new(struct doorbell **doorbell, struct loop *loop, const char *address, int device);

/* It is freed when nothing is under way any more. NULL is allowed */
void doorbell_free(struct doorbell *doorbell);

#endif /* KRINGD_DOORBELL_H */
