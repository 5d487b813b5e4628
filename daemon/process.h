/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A process that is not this one's child: its number may have become another's.
 */
#ifndef KRINGD_PROCESS_H
#define KRINGD_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/**
 * process_open() - a pidfd of a process that is known to have begun at some time
 * @pid: its number
 * @from: CLOCK_BOOTTIME: not before
 * @to: and not after
 *
 * Return: the pidfd, or -ESRCH: it is not there any more; or another negative errno.
 */
int process_open(pid_t pid, uint64_t from, uint64_t to);

#endif /* KRINGD_PROCESS_H */
