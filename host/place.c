// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: a directory here that is being filled from the guest. It is worked in through
 * its descriptor, and entered without following symlinks: whatever names and symlinks the
 * guest sends, nothing is written anywhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "copy.h"

/**
 * struct place - one directory
 * @copy: run
 * @fd: descriptor
 * @path: for messages
 * @attributes: that it gets at the end: a mode may forbid to write to it, and each file
 *	changes its time
 * @ours: we have made it, so it gets them
 * @up: the one that it is in
 * @refs: who is still at work in it
 */
struct place {
	struct copy *copy;
	int fd;
	char *path;
	struct attributes attributes;
	bool ours;
	struct place *up;
	unsigned int refs;
};

/** place_new() - @fd becomes its own; NULL: no memory, and @fd is closed */
struct place *place_new(struct copy *copy, int fd, const char *path)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place)
		place->path = strdup(path);
	if (!place || !place->path) {
		close(fd);
		free(place);
		return NULL;
	}
	place->copy = copy;
	place->fd = fd;
	place->refs = 1;
	return place;
}

/* -1: and errno; @made: it was not there. */
static int make_dir(int up, const char *name, bool *made)
{
	*made = !mkdirat(up, name, 0700);
	if (!*made && errno != EEXIST)
		return -1;
	return openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/** place_make() - a directory in @up, which may be there; NULL: and the person was told */
struct place *place_make(struct place *up, const char *name, const Kring__FileInfo *info)
{
	struct copy *copy = up->copy;
	char *path = copy_join(up->path, name);
	struct place *place = NULL;
	bool made;
	int fd;

	fd = make_dir(up->fd, name, &made);
	if (fd < 0)
		copy_fail(copy, path ? path : name, "%s",
			  errno == ELOOP || errno == ENOTDIR ?
			  "there is something else, no directory" : strerror(errno));
	else if (path)
		place = place_new(copy, fd, path);
	else
		close(fd);
	free(path);
	if (!place) {
		if (fd >= 0)
			copy_fail(copy, name, "%s", strerror(ENOMEM));
		return NULL;
	}
	place->ours = made;
	place->up = place_get(up);
	copy_attributes(copy, &place->attributes,
			copy->owner ? info->mode : info->mode & ~copy->umask, info->uid,
			info->gid, info->mtime);
	return place;
}

struct place *place_get(struct place *place)
{
	if (place)
		place->refs++;
	return place;
}

void place_put(struct place *place)
{
	struct place *up;
	const char *what;
	int code;

	for (; place && !--place->refs; place = up) {
		if (place->ours) {
			code = kring_set_attributes(place->fd, NULL, &place->attributes.all,
						    &what);
			if (code)
				copy_fail(place->copy, place->path, "%s: %s", what,
					  strerror(-code));
		}
		up = place->up;
		close(place->fd);
		free(place->path);
		free(place);
	}
}

int place_fd(const struct place *place)
{
	return place->fd;
}

const char *place_path(const struct place *place)
{
	return place->path;
}
