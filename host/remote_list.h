/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kring cp: what is in a directory of the guest's. The guest chooses the names: they are
 * checked here, once, for all that is done with them.
 */
#ifndef KRING_REMOTE_LIST_H
#define KRING_REMOTE_LIST_H

#include "copy.h"

/* Entries of a directory, and bytes that those of all directories above it take as well. */
#define REMOTE_LIST_MAX		1000000
#define REMOTE_LIST_BYTES	(256 << 20)

/**
 * struct remote_entry - one file
 * @info: what it is; its name is no path
 * @name: within the directory
 * @target: of a symlink, else NULL
 */
struct remote_entry {
	Kring__FileInfo info;
	char *name;
	char *target;
};

/** struct remote_list - all of them */
struct remote_list {
	struct copy *copy;
	struct remote_entry *entries;
	size_t count;
	size_t room;
	size_t bytes;
};

/* 0, or a negative errno, and the person was told. */
int remote_list_read(struct copy *copy, const char *path, struct remote_list *list);
void remote_list_free(struct remote_list *list);

#endif /* KRING_REMOTE_LIST_H */
