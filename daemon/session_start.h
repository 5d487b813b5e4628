/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The start of a session.
 */
#ifndef KRINGD_SESSION_START_H
#define KRINGD_SESSION_START_H

#include "session.h"
#include "spawn.h"

/**
 * session_start() - start its program
 * @session: new, and in the list
 * @spawn: the program; what session it is in is filled in here: files, tty, cgroup
 * @exec: how it is to be
 * @failure: filled on failure
 *
 * Return: 0, or a negative errno, and it is to be released. Whether the program really runs
 * is found out later, and the session's stream is accepted or reset then.
 */
int session_start(struct session *session, struct spawn *spawn,
		  const struct Kring__Exec *exec, struct failure *failure);

#endif /* KRINGD_SESSION_START_H */
