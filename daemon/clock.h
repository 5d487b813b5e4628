/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guest's clock.
 */
#ifndef KRINGD_CLOCK_H
#define KRINGD_CLOCK_H

#include <stdint.h>

/**
 * clock_step() - set it
 * @time: nanoseconds since 1970, not negative
 * @before: what it was, also on failure
 *
 * Return: 0 or a negative errno: -EPERM without CAP_SYS_TIME.
 */
int clock_step(int64_t time, int64_t *before);

/* The guest was restored, and @time is the host's: follow it, unless it is near enough. */
void clock_follow(int64_t time);

#endif /* KRINGD_CLOCK_H */
