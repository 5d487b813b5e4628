/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which services of the host's there are, as it has said itself.
 */
#ifndef KRINGD_SERVE_H
#define KRINGD_SERVE_H

#include <stdint.h>

struct agent;

/* Number of the stream of service "serve" that has @name; 0: none, the configuration may. */
uint32_t serve_find(const struct agent *agent, const char *name);

#endif /* KRINGD_SERVE_H */
