/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the health service starts: kringd with this option, which does nothing.
 */
#ifndef KRINGD_HEALTH_H
#define KRINGD_HEALTH_H

#define HEALTH_OPTION	"--health-child"

#endif /* KRINGD_HEALTH_H */
