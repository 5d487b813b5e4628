/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A cgroup for each session: so that all of it can be killed, however it forks, and that it
 * is known when a shortage of memory has killed it.
 */
#ifndef KRINGD_CGROUP_H
#define KRINGD_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * cgroup_init() - find out where sessions may have cgroups
 *
 * That is below the agent's own, where systemd has delegated it or where it is the root of
 * a system without systemd. Elsewhere there are none, and sessions do without.
 *
 * @known: whether a session that an earlier agent has left goes on; else its cgroup is removed
 *
 * Return: the largest number of a session that an earlier agent has left behind, or 0.
 */
uint64_t cgroup_init(bool (*known)(uint64_t number));
void cgroup_fini(void);

/**
 * cgroup_create() - make one for the session @number
 *
 * Return: its cgroup.procs, to be closed; or a negative errno: -ENOENT: there are none here.
 */
int cgroup_create(uint64_t number);

/* SIGKILL to all that is in it. 0 or a negative errno. */
int cgroup_kill(uint64_t number);

/* Whether the kernel has killed something in it, as memory was short; -ENOENT: not known. */
int cgroup_oom_killed(uint64_t number);

/* How often it has done so in the whole system; for who has nothing better. */
uint64_t cgroup_oom_kills(void);

/* Whether there is a process in it. */
bool cgroup_populated(uint64_t number);

/* When the session has gone: removed now, or later when the last process has gone too. */
void cgroup_remove(uint64_t number);

#endif /* KRINGD_CGROUP_H */
