/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A session and its keeper: the process through which it outlives the agent.
 */
#ifndef KRINGD_SESSION_KEEPER_H
#define KRINGD_SESSION_KEEPER_H

#include "keeper.h"
#include "session.h"
#include "spawn.h"

/**
 * session_keeper_prepare() - have a keeper, where that is of use
 * @session: its files are open
 * @keeper: filled in; must be there until @spawn is started
 * @spawn: gets @keeper
 * @failure: filled on failure
 *
 * Return: 0 or a negative errno. The caller closes @keeper->over[1].
 */
int session_keeper_prepare(struct session *session, struct keeper *keeper, struct spawn *spawn,
			   struct failure *failure);

/* Started as @pid. 0 or a negative errno, and it was killed. */
int session_keeper_watch(struct session *session, pid_t pid);

/* One that another agent has started: what it holds is the session's. */
void session_keeper_adopt(struct session *session, struct keeper *keeper, int pidfd);

/* It was killed: its program is hung up, and how that ends is not known. */
void session_keeper_lost(struct session *session);

/* It is to look at the record. */
void session_keeper_wake(struct session *session);

/* The session is over: so is its keeper. */
void session_keeper_dismiss(struct session *session);

/* Stop waiting for it. */
void session_keeper_close(struct session *session);

#endif /* KRINGD_SESSION_KEEPER_H */
