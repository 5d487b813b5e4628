// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: files and trees to the guest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "copy.h"

static int put_remove(struct copy *copy, const char *path, struct kring_error *why)
{
	Kring__Remove request = KRING__REMOVE__INIT;

	request.path = copy_bytes(path);
	return copy_call(copy, "remove", &request.base, NULL, NULL, why);
}

static void put_symlink(struct copy *copy, int dir, const char *name, const struct stat *st,
			const char *from, const char *to)
{
	Kring__Symlink request = KRING__SYMLINK__INIT;
	struct attributes attributes;
	struct kring_error why;
	char target[PATH_MAX];
	ssize_t len;
	int code;

	len = readlinkat(dir, name, target, sizeof(target));
	if (len < 0) {
		copy_fail(copy, from, "%s", strerror(errno));
		return;
	}
	copy_attributes(copy, &attributes, 0, st->st_uid, st->st_gid,
			kring_nanoseconds(&st->st_mtim));
	attributes.all.mode = NULL;
	request.path = copy_bytes(to);
	request.target.data = (uint8_t *)target;
	request.target.len = len;
	request.attributes = &attributes.all;
	code = copy_call(copy, "symlink", &request.base, NULL, NULL, &why);
	/* A directory in its place is not removed, and the guest says so. */
	if (code == -EEXIST) {
		code = put_remove(copy, to, &why);
		if (!code)
			code = copy_call(copy, "symlink", &request.base, NULL, NULL, &why);
	}
	if (code)
		copy_fail(copy, from, "%s", why.text);
}

/*
 * A directory in the guest, which may be there. It can be written to until all is in it.
 * NULL: and the person was told.
 */
static struct remote_dir *put_mkdir(struct copy *copy, const struct stat *st, const char *from,
				    const char *to, struct remote_dir *up)
{
	Kring__Mkdir request = KRING__MKDIR__INIT;
	Kring__Attributes first = KRING__ATTRIBUTES__INIT;
	Kring__Number mode = KRING__NUMBER__INIT;
	struct attributes attributes;
	Kring__FileInfo *info = NULL;
	struct kring_error why;
	struct remote_dir *dir;
	int code;

	mode.value = 0700;
	first.mode = &mode;
	request.path = copy_bytes(to);
	request.attributes = &first;
	code = copy_call(copy, "mkdir", &request.base, NULL, NULL, &why);
	copy_attributes(copy, &attributes, st->st_mode, st->st_uid, st->st_gid,
			kring_nanoseconds(&st->st_mtim));
	if (code && code != -EEXIST) {
		copy_fail(copy, from, "%s", why.text);
		return NULL;
	}
	if (code) {
		/* Not through a symlink, unless it is the one that was asked for. */
		if (copy_stat(copy, to, !up, &info, &why) ||
		    info->type != KRING__FILE_TYPE__DIRECTORY) {
			copy_fail(copy, from, "%s: there is something else, no directory", to);
			kring_unpack_free(info);
			return NULL;
		}
		kring_unpack_free(info);
	}
	dir = remote_dir_new(copy, to, code ? NULL : &attributes, up);
	if (!dir)
		copy_fail(copy, from, "%s", strerror(ENOMEM));
	return dir;
}

static void put_tree(struct copy *copy, int dir, const char *name, const char *from,
		     struct remote_dir *to, unsigned int depth);

static void put_file(struct copy *copy, int dir, const char *name, bool follow,
		     const char *from, const char *to, struct remote_dir *up)
{
	int fd;

	if (copy_wait(copy, COPY_STREAMS - 1))
		return;
	fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
		    (follow ? 0 : O_NOFOLLOW));
	if (fd < 0)
		copy_fail(copy, from, "%s", strerror(errno));
	else
		copy_put(copy, fd, from, to, up);
}

static void put_one(struct copy *copy, int dir, const char *name, const char *from,
		    const char *to, struct remote_dir *up, unsigned int depth)
{
	bool follow = !copy->recursive;
	struct remote_dir *down;
	struct stat st;

	if (fstatat(dir, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW)) {
		copy_fail(copy, from, "%s", strerror(errno));
	} else if (S_ISREG(st.st_mode)) {
		put_file(copy, dir, name, follow, from, to, up);
	} else if (S_ISLNK(st.st_mode)) {
		put_symlink(copy, dir, name, &st, from, to);
	} else if (!S_ISDIR(st.st_mode)) {
		copy_fail(copy, from, "neither file, directory nor symlink: left out");
	} else if (!copy->recursive) {
		copy_fail(copy, from, "is a directory: -r is needed");
	} else if (depth == COPY_DEPTH_MAX) {
		copy_fail(copy, from, "directories go too deep");
	} else {
		down = put_mkdir(copy, &st, from, to, up);
		if (down)
			put_tree(copy, dir, name, from, down, depth + 1);
		remote_dir_put(down);
	}
}

static void put_entry(struct copy *copy, int dir, const char *name, const char *from,
		      struct remote_dir *to, unsigned int depth)
{
	char *source = copy_join(from, name);
	char *target = copy_join(remote_dir_path(to), name);

	if (source && target)
		put_one(copy, dir, name, source, target, to, depth);
	else
		copy_fail(copy, from, "%s", strerror(ENOMEM));
	free(source);
	free(target);
}

/* All that is in the directory @name in @dir. */
static void put_tree(struct copy *copy, int dir, const char *name, const char *from,
		     struct remote_dir *to, unsigned int depth)
{
	struct dirent *entry;
	DIR *stream = NULL;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
		    (depth > 1 ? O_NOFOLLOW : 0));
	if (fd >= 0)
		stream = fdopendir(fd);
	if (!stream) {
		copy_fail(copy, from, "%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	while (!copy->lost && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			put_entry(copy, dirfd(stream), entry->d_name, from, to, depth);
	closedir(stream);
}

/* A source whose path ends in ".": all that is in it goes into the target. */
static void put_contents(struct copy *copy, const char *from, const char *to)
{
	struct remote_dir *dir = remote_dir_new(copy, to, NULL, NULL);

	if (!copy->recursive)
		copy_fail(copy, from, "is a directory: -r is needed");
	else if (!dir)
		copy_fail(copy, from, "%s", strerror(ENOMEM));
	else
		put_tree(copy, AT_FDCWD, from, from, dir, 1);
	remote_dir_put(dir);
}

static void put_source(struct copy *copy, const char *from, const char *to, bool into)
{
	char name[NAME_MAX + 1];
	char *path;

	if (!strcmp(from, "-")) {
		if (into)
			copy_fail(copy, to, "is a directory: what comes from stdin needs a name");
		else
			copy_put(copy, STDIN_FILENO, "stdin", to, NULL);
		return;
	}
	if (!into) {
		put_one(copy, AT_FDCWD, from, from, to, NULL, 0);
		return;
	}
	if (!copy_base(from, name)) {
		copy_fail(copy, from, "%s", strerror(ENAMETOOLONG));
		return;
	}
	if (!*name) {
		put_contents(copy, from, to);
		return;
	}
	path = copy_join(to, name);
	if (path)
		put_one(copy, AT_FDCWD, from, from, path, NULL, 0);
	else
		copy_fail(copy, from, "%s", strerror(ENOMEM));
	free(path);
}

void copy_to_guest(struct copy *copy, char **sources, int count, const char *to)
{
	Kring__FileInfo *info = NULL;
	struct kring_error why;
	bool into = false;
	size_t len;
	char *path;
	int code, i;

	path = strdup(*to ? to : "/");
	if (!path) {
		copy_fail(copy, to, "%s", strerror(ENOMEM));
		return;
	}
	code = copy_stat(copy, path, true, &info, &why);
	if (!code)
		into = info->type == KRING__FILE_TYPE__DIRECTORY;
	kring_unpack_free(info);
	len = strlen(path);
	if (code && code != -ENOENT) {
		copy_fail(copy, to, "%s", why.text);
	} else if (!into && (count > 1 || (path[len - 1] == '/' && !copy->recursive))) {
		copy_fail(copy, path, "%s", strerror(code ? ENOENT : ENOTDIR));
	} else {
		/* A new directory for one tree: DST/ is as good as DST. */
		while (len > 1 && path[len - 1] == '/')
			path[--len] = '\0';
		for (i = 0; i < count && !copy->lost; i++)
			put_source(copy, sources[i], path, into);
		copy_wait(copy, 0);
	}
	free(path);
}
