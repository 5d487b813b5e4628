/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A program of the guest that has connected to /run/kring/host.sock.
 */
#ifndef KRINGD_CALLER_H
#define KRINGD_CALLER_H

struct agent;

/* @fd is its own from then on, with success: 0 or -ENOMEM. It ends by itself. */
int caller_start(struct agent *agent, int fd);

#endif /* KRINGD_CALLER_H */
