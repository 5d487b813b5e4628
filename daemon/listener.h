/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kringd --listen: a host that connects to a SOCK_SEQPACKET socket, in place of a device.
 * One message is one frame. For tests, and for guests that have no kring device.
 */
#ifndef KRINGD_LISTENER_H
#define KRINGD_LISTENER_H

#include "agent.h"

struct listener;

/* 0 or a negative errno, and the reason has been logged. */
int listener_new(struct listener **listener, struct agent *agent, const char *path);

/* Stop listening. What is under way ends in the loop, which then frees it. NULL is allowed */
void listener_free(struct listener *listener);

#endif /* KRINGD_LISTENER_H */
