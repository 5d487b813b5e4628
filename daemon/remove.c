// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "remove": unlink a file, or a directory with all that is in it.
 *
 * Only one directory is open at a time, however deep they go: the way back up is "..", and
 * whether that still is where we came from is checked, or somebody who moves directories
 * about could lead us out of what is to be removed. Symlinks are removed, never followed;
 * other file systems are not entered.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path.h"
#include "services.h"

/* Entries at a time, so that others have their turn too. */
#define ENTRIES		256
#define DEPTH_MAX	8192

/**
 * struct level - a directory that we have gone into
 * @up: the one that it is in
 * @dev: of that one
 * @ino: of that one
 * @name: of this one, in that one
 */
struct level {
	struct level *up;
	dev_t dev;
	ino_t ino;
	char name[];
};

/**
 * struct removal - one request
 * @job: the next turn
 * @loop: event loop
 * @stream: where the answer goes to
 * @entry: what was asked for
 * @dev: file system to stay in
 * @dir: directory that we are in; NULL: in @entry's
 * @level: how we got there
 * @depth: number of levels
 */
struct removal {
	struct loop_job job;
	struct loop *loop;
	struct kring_stream *stream;
	struct path_entry entry;
	dev_t dev;
	DIR *dir;
	struct level *level;
	unsigned int depth;
};

static void removal_free(struct removal *removal)
{
	struct level *up;

	loop_unqueue(removal->loop, &removal->job);
	for (; removal->level; removal->level = up) {
		up = removal->level->up;
		free(removal->level);
	}
	if (removal->dir)
		closedir(removal->dir);
	path_close(&removal->entry);
	free(removal);
}

static int current_dir(const struct removal *removal)
{
	return removal->dir ? dirfd(removal->dir) : removal->entry.dir;
}

/* @fd becomes the directory that we are in, or is closed. */
static int move_to(struct removal *removal, int fd)
{
	DIR *dir = fdopendir(fd);
	int code = -errno;

	if (!dir) {
		close(fd);
		return code;
	}
	if (removal->dir)
		closedir(removal->dir);
	removal->dir = dir;
	return 0;
}

static int go_down(struct removal *removal, const char *name)
{
	int from = current_dir(removal);
	struct stat here, there;
	struct level *level;
	int code, fd;

	if (removal->depth >= DEPTH_MAX)
		return -ELOOP;
	fd = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	code = fstat(from, &here) || fstat(fd, &there) ? -errno : 0;
	if (!code && there.st_dev != removal->dev)
		code = -EXDEV;
	level = code ? NULL : malloc(sizeof(*level) + strlen(name) + 1);
	if (!level) {
		close(fd);
		return code ? code : -ENOMEM;
	}
	level->up = removal->level;
	level->dev = here.st_dev;
	level->ino = here.st_ino;
	strcpy(level->name, name);
	removal->level = level;
	removal->depth++;
	return move_to(removal, fd);
}

/* The directory that we are in is empty: it goes. 1: and that was all. */
static int go_up(struct removal *removal)
{
	struct level *level = removal->level;
	struct stat st;
	int code, fd;

	if (!level->up) {
		if (unlinkat(removal->entry.dir, level->name, AT_REMOVEDIR))
			return -errno;
		return 1;
	}
	fd = openat(dirfd(removal->dir), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	code = fstat(fd, &st) ? -errno : 0;
	if (!code && (st.st_dev != level->dev || st.st_ino != level->ino))
		code = -ESTALE;
	if (!code && unlinkat(fd, level->name, AT_REMOVEDIR))
		code = -errno;
	if (code) {
		close(fd);
		return code;
	}
	removal->level = level->up;
	removal->depth--;
	free(level);
	return move_to(removal, fd);
}

/* One entry of the directory that we are in. 1: all is done. */
static int remove_next(struct removal *removal)
{
	struct dirent *entry;
	int code;

	do {
		errno = 0;
		entry = readdir(removal->dir);
		if (!entry)
			return errno ? -errno : go_up(removal);
	} while (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."));

	/* Directories first answer EISDIR; whoever may unlink them would lose what is in them. */
	if (entry->d_type == DT_DIR)
		return go_down(removal, entry->d_name);
	if (!unlinkat(dirfd(removal->dir), entry->d_name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	code = go_down(removal, entry->d_name);
	return code == -ENOTDIR ? -EPERM : code;
}

static void removal_end(struct removal *removal, int code)
{
	const char *inside = removal->level ? removal->level->name : NULL;

	if (code && inside && removal->level->up)
		kring_reset(removal->stream, -code, "remove", "%s: within it, in \"%s\": %s",
			    removal->entry.path, inside, strerror(-code));
	else if (code)
		path_refuse(removal->stream, code, "remove", removal->entry.path, NULL);
	else
		kring_close(removal->stream, NULL);
	removal_free(removal);
}

static void removal_run(struct loop_job *job)
{
	struct removal *removal = (struct removal *)((char *)job - offsetof(struct removal, job));
	int code = 0;
	int i;

	for (i = 0; i < ENTRIES && !code; i++)
		code = remove_next(removal);
	if (code)
		removal_end(removal, code > 0 ? 0 : code);
	else
		loop_queue(removal->loop, &removal->job);
}

static void removal_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	removal_free(kring_stream_owner(stream));
}

static const struct kring_stream_ops removal_ops = {
	.reset = removal_reset,
};

/* 1: it goes on within a directory. */
static int removal_start(struct removal *removal, const Kring__Remove *request)
{
	struct path_entry *entry = &removal->entry;
	struct stat st;
	int code;

	code = path_open(entry, &request->path);
	if (code)
		return code;
	if (fstatat(entry->dir, entry->name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISDIR(st.st_mode) && !request->recursive)
		return -EISDIR;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(entry->dir, entry->name, 0) ? -errno : 0;

	removal->dev = st.st_dev;
	code = go_down(removal, entry->name);
	return code ? code : 1;
}

static void remove_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct removal *removal = calloc(1, sizeof(*removal));
	int code;

	if (!removal) {
		path_refuse(stream, -ENOMEM, "remove", NULL, NULL);
		return;
	}
	removal->job.run = removal_run;
	removal->loop = &agent->loop;
	removal->stream = stream;
	removal->entry.dir = -1;
	code = removal_start(removal, request);
	if (code < 0) {
		removal_end(removal, code);
		return;
	}
	if (kring_accept(stream, NULL, 0)) {
		removal_end(removal, -ENOMEM);
		return;
	}
	if (!code) {
		removal_end(removal, 0);
		return;
	}
	kring_stream_set_ops(stream, &removal_ops, removal);
	loop_queue(removal->loop, &removal->job);
}

const struct service service_remove = {
	.name = "remove",
	.request = &kring__remove__descriptor,
	.open = remove_open,
};
