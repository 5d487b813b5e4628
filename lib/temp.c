// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A file that nobody sees until it is whole: it lies in the directory where it is to be, and
 * gets its name there last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define TEMP_NAME	".kring.XXXXXX"

/* Names that are tried before it is believed that all are taken. */
#define TRIES	100

static int dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash - path + 1 : 0;
}

/**
 * kring_temp_open() - a new file, mode 0600, in the directory of @path
 * @temp: to fill; kring_temp_close() it on success
 * @path: where it is to be; stays the caller's, and must stay as long as @temp
 *
 * Where the file system can do it, the file has no name yet, so that nothing is left of it
 * however this process ends.
 */
int kring_temp_open(struct kring_temp *temp, const char *path)
{
	int dir = dir_len(path);

	temp->path = path;
	if (snprintf(temp->name, sizeof(temp->name), "%.*s" TEMP_NAME, dir, path) >=
	    (int)sizeof(temp->name))
		return -ENAMETOOLONG;

	/* What is behind the directory's slash makes way for ".". */
	temp->name[dir + 1] = '\0';
	temp->fd = open(temp->name, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (temp->fd >= 0) {
		temp->name[0] = '\0';
		return 0;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;

	temp->name[dir + 1] = TEMP_NAME[1];
	temp->fd = mkostemp(temp->name, O_CLOEXEC);
	return temp->fd < 0 ? -errno : 0;
}

/* A name for a file that has none: what the kernel calls the open file leads to it. */
static int temp_link(const struct kring_temp *temp, const char *name)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", temp->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/**
 * kring_temp_link() - the file gets its name, unless somebody has it
 * @temp: whole now
 *
 * Whoever is there first stays, also when two try at a time: -EEXIST.
 */
int kring_temp_link(struct kring_temp *temp)
{
	if (temp->name[0])
		return link(temp->name, temp->path) ? -errno : 0;
	return temp_link(temp, temp->path);
}

/* rename() wants a name to begin with. */
static int temp_name(struct kring_temp *temp)
{
	int dir = dir_len(temp->path), i, code = -EEXIST;
	uint32_t number;

	for (i = 0; i < TRIES && code == -EEXIST; i++) {
		code = kring_random(&number, sizeof(number));
		if (code)
			return code;
		snprintf(temp->name, sizeof(temp->name), "%.*s.kring.%06x", dir, temp->path,
			 number & 0xffffff);
		code = temp_link(temp, temp->name);
	}
	if (code)
		temp->name[0] = '\0';
	return code;
}

static int dir_sync(const char *path)
{
	char dir[PATH_MAX];
	int fd, code = 0;

	snprintf(dir, sizeof(dir), "%.*s.", dir_len(path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EINVAL: a file system that has nothing to sync. */
	if (fsync(fd) && errno != EINVAL)
		code = -errno;
	close(fd);
	return code;
}

/**
 * kring_temp_rename() - the file takes the place of what has its name, if anything has
 * @temp: whole now
 *
 * At each moment the old file or the new one is there, also after a crash of this machine.
 * Who has the old one open keeps that.
 */
int kring_temp_rename(struct kring_temp *temp)
{
	int code;

	if (fsync(temp->fd) && errno != EINVAL)
		return -errno;
	if (!temp->name[0]) {
		code = temp_name(temp);
		if (code)
			return code;
	}
	if (rename(temp->name, temp->path))
		return -errno;
	temp->name[0] = '\0';
	return dir_sync(temp->path);
}

/** kring_temp_close() - close the file, which goes if it has not got its name */
void kring_temp_close(struct kring_temp *temp)
{
	if (temp->name[0])
		unlink(temp->name);
	close(temp->fd);
}
