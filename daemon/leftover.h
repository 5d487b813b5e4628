/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Pipes of sessions that are over, which children of theirs still write to.
 */
#ifndef KRINGD_LEFTOVER_H
#define KRINGD_LEFTOVER_H

#include "loop.h"

/* Takes the reading end @fd, if 0 is returned. -ENOMEM */
int leftover_add(struct loop *loop, int fd);

/* Closes them all. */
void leftover_fini(struct loop *loop);

#endif /* KRINGD_LEFTOVER_H */
