/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * --ulimit: names of resources, and their limits.
 */
#ifndef KRING_ULIMIT_H
#define KRING_ULIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* "nofile=1024", "nofile=1024:4096", "core=unlimited": whether it makes sense. */
bool ulimit_parse(const char *text, uint32_t *resource, uint64_t *soft, uint64_t *hard);

#endif /* KRING_ULIMIT_H */
