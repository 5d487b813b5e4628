/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kring device: found, opened as the agent's link, and found again when it was gone.
 */
#ifndef KRINGD_DEVICE_H
#define KRINGD_DEVICE_H

#include "agent.h"

struct device;

/* Go and look for it. 0 or -ENOMEM */
int device_new(struct device **device, struct agent *agent);

/* What is under way ends in the loop, which then frees it. NULL is allowed */
void device_free(struct device *device);

#endif /* KRINGD_DEVICE_H */
