/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Pipes of sessions that are over, which children of theirs still write to. Where systemd
 * keeps files for the next agent, it has these.
 */
#ifndef KRINGD_LEFTOVER_H
#define KRINGD_LEFTOVER_H

#include "loop.h"

/* Those of the agent before. */
void leftover_init(struct loop *loop);

/* Takes the reading end @fd, if 0 is returned. -ENOMEM */
int leftover_add(struct loop *loop, int fd);

/* Closes them all, here. */
void leftover_fini(struct loop *loop);

#endif /* KRINGD_LEFTOVER_H */
