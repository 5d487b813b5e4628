/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All sessions.
 */
#ifndef KRINGD_SESSIONS_H
#define KRINGD_SESSIONS_H

#include <stdint.h>
#include <sys/resource.h>

#include "failure.h"
#include "session.h"

/**
 * struct sessions - those that there are
 * @list: in the order of their numbers
 * @count: how many
 * @last: number of the newest
 * @files: RLIMIT_NOFILE, as programs are to have it
 */
struct sessions {
	TAILQ_HEAD(, session) list;
	unsigned int count;
	uint64_t last;
	struct rlimit files;
};

/* Those of the agent before go on. 0 or a negative errno. */
int sessions_init(struct agent *agent);

/*
 * Programs that need a host are hung up, and killed where they do not go in time; those that
 * do not are left alone, or to the next agent. To be called when the loop has stopped;
 * thereafter it is to be run until nothing is under way, and then there is store_fini().
 */
void sessions_fini(struct agent *agent);

/**
 * sessions_add() - a new one
 * @agent: agent
 * @name: may be empty
 * @failure: filled on failure
 *
 * Return: the session, or NULL.
 */
struct session *sessions_add(struct agent *agent, const char *name, struct failure *failure);

/* Take in one that there is already. */
void sessions_insert(struct agent *agent, struct session *session);

/* By its number or name; NULL: @failure says that there is none. */
struct session *sessions_find(struct agent *agent, const char *which, struct failure *failure);

unsigned int sessions_count(const struct agent *agent);

/* The first whose number is above @number, or NULL. */
struct session *sessions_after(struct agent *agent, uint64_t number);

#endif /* KRINGD_SESSIONS_H */
