/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kringd as the only init of a small VM (init=/sbin/kringd). Reaping is the reaper's.
 */
#ifndef KRINGD_INIT_H
#define KRINGD_INIT_H

#include "agent.h"

bool init_is_us(void);

/* What programs expect to be there: mounts, a loopback device, a PATH; and kring.ko. */
void init_start(void);

/**
 * init_end() - the machine's end
 * @how: not AGENT_STOP_EXIT
 * @force: whoever still runs is not asked to end, not even as PID 1
 *
 * Returns where the kernel refuses.
 */
void init_end(enum agent_stop how, bool force);

#endif /* KRINGD_INIT_H */
