/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guest's clocks.
 */
#ifndef KRINGD_CLOCK_H
#define KRINGD_CLOCK_H

#include <stdint.h>
#include <time.h>

/* What it shows, in nanoseconds: CLOCK_REALTIME since 1970. */
uint64_t clock_now(clockid_t clock);

/**
 * clock_step() - set CLOCK_REALTIME
 * @time: nanoseconds since 1970, not negative
 * @before: what it was, also on failure
 *
 * Return: 0 or a negative errno: -EPERM without CAP_SYS_TIME.
 */
int clock_step(int64_t time, int64_t *before);

/* The guest was restored, and @time is the host's: follow it, unless it is near enough. */
void clock_follow(int64_t time);

#endif /* KRINGD_CLOCK_H */
