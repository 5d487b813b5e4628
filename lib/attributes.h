/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: mode, owner and time of files, as agent.proto has them.
 */
#ifndef KRING_ATTRIBUTES_H
#define KRING_ATTRIBUTES_H

#include <sys/stat.h>

#include "message.h"

#ifdef __cplusplus
extern "C" {
#endif

/** kring_time() - nanoseconds since 1970 as a struct timespec, and back */
struct timespec kring_timespec(int64_t nanoseconds);
int64_t kring_nanoseconds(const struct timespec *time);

/**
 * kring_set_attributes() - give a file those that are not absent
 * @fd: the file, or the directory that @name is in
 * @name: NULL: @fd itself; a symlink is not followed
 * @attributes: may be NULL
 * @what: set to the one that failed: "owner", "mode" or "time"
 *
 * Return: 0 or a negative errno; -EINVAL also for numbers that are none.
 */
int kring_set_attributes(int fd, const char *name, const Kring__Attributes *attributes,
			 const char **what);

#ifdef __cplusplus
}
#endif

#endif /* KRING_ATTRIBUTES_H */
