/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Memory that was needed at the start alone.
 */
#ifndef KRINGD_TRIM_H
#define KRINGD_TRIM_H

/* Give back what is not in use: it comes again where it is needed after all. */
void trim_memory(void);

#endif /* KRINGD_TRIM_H */
