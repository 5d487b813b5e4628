/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * As whom a program runs.
 */
#ifndef KRINGD_IDENTITY_H
#define KRINGD_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "failure.h"

/**
 * struct identity - a user, and the groups to be in
 * @uid: user
 * @gid: primary group
 * @groups: supplementary groups
 * @count: of them
 * @change: it is not the agent's own
 * @name: of the user, its number where it has none
 * @home: directory
 * @shell: program
 */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int count;
	bool change;
	char *name;
	char *home;
	char *shell;
};

/**
 * identity_find() - look a user up
 * @identity: to be freed with identity_free(), also on failure
 * @user: name or number, which need not be known; empty: the agent's own
 * @groups: names or numbers. The first becomes the primary group; none: those of the user
 * @count: of them
 * @failure: filled on failure
 *
 * Return: 0 or a negative errno.
 */
int identity_find(struct identity *identity, const char *user, char *const *groups,
		  size_t count, struct failure *failure);
void identity_free(struct identity *identity);

/* In the child: become it. */
int identity_assume(const struct identity *identity, struct failure *failure);

#endif /* KRINGD_IDENTITY_H */
