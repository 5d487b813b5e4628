// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: files and trees from the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attributes.h"
#include "copy.h"
#include "remote_list.h"

/* One beside it takes its name, so that it is never not there. */
static int replace_symlink(int dir, const char *name, const char *target)
{
	char temporary[64];
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return -EEXIST;
	snprintf(temporary, sizeof(temporary), ".kring-%d.link", getpid());
	unlinkat(dir, temporary, 0);
	if (symlinkat(target, dir, temporary))
		return -errno;
	if (renameat(dir, temporary, dir, name)) {
		int code = -errno;

		unlinkat(dir, temporary, 0);
		return code;
	}
	return 0;
}

/* Made, never followed: so it may point anywhere. */
static void get_symlink(struct copy *copy, const char *from, const Kring__FileInfo *info,
			const char *target, struct place *place, const char *name)
{
	struct attributes attributes;
	int dir = place_fd(place);
	const char *what;
	int code = 0;

	if (!target || !*target) {
		copy_fail(copy, from, "the guest has not said where the symlink points to");
		return;
	}
	if (symlinkat(target, dir, name))
		code = errno == EEXIST ? replace_symlink(dir, name, target) : -errno;
	if (!code) {
		copy_attributes(copy, &attributes, 0, info->uid, info->gid, info->mtime);
		attributes.all.mode = NULL;
		code = kring_set_attributes(dir, name, &attributes.all, &what);
	}
	if (code)
		copy_fail(copy, from, "symlink: %s", strerror(-code));
}

static void get_tree(struct copy *copy, const char *from, struct place *place,
		     unsigned int depth);

static void get_one(struct copy *copy, const char *from, const Kring__FileInfo *info,
		    const char *target, struct place *place, const char *name,
		    unsigned int depth)
{
	struct place *down;

	switch (info->type) {
	case KRING__FILE_TYPE__REGULAR:
		if (!copy_wait(copy, COPY_STREAMS - 1))
			copy_get(copy, from, info, place, name);
		return;
	case KRING__FILE_TYPE__SYMLINK:
		get_symlink(copy, from, info, target, place, name);
		return;
	case KRING__FILE_TYPE__DIRECTORY:
		if (depth == COPY_DEPTH_MAX) {
			copy_fail(copy, from, "directories go too deep");
			return;
		}
		down = place_make(place, name, info);
		if (down)
			get_tree(copy, from, down, depth + 1);
		place_put(down);
		return;
	default:
		copy_fail(copy, from, "neither file, directory nor symlink: left out");
	}
}

/* All that is in the guest's directory @from. */
static void get_tree(struct copy *copy, const char *from, struct place *place,
		     unsigned int depth)
{
	struct remote_list list;
	struct remote_entry *e;
	char *path;
	size_t i;

	if (!remote_list_read(copy, from, &list)) {
		for (i = 0; i < list.count && !copy->lost; i++) {
			e = &list.entries[i];
			path = copy_join(from, e->name);
			if (path)
				get_one(copy, path, &e->info, e->target, place, e->name,
					depth);
			else
				copy_fail(copy, from, "%s", strerror(ENOMEM));
			free(path);
		}
	}
	remote_list_free(&list);
}

/**
 * struct target - where all of it goes to
 * @place: directory; NULL: stdout
 * @name: in it, of the one source; empty: each gets its own
 * @path: as on the command line
 */
struct target {
	struct place *place;
	char name[NAME_MAX + 1];
	const char *path;
};

/* A source's name in the target's directory; empty: the directory itself. */
static bool choose_name(struct copy *copy, const struct target *target, const char *from,
			char name[NAME_MAX + 1])
{
	if (target->name[0]) {
		strcpy(name, target->name);
		return true;
	}
	if (copy_base(from, name))
		return true;
	copy_fail(copy, from, "%s", strerror(ENAMETOOLONG));
	return false;
}

static void get_source(struct copy *copy, const char *from, const struct target *target)
{
	struct kring_error why;
	Kring__FileInfo *info;
	char name[NAME_MAX + 1];
	char *link = NULL;

	if (copy_stat(copy, from, !copy->recursive, &info, &why)) {
		copy_fail(copy, from, "%s", why.text);
		return;
	}
	if (info->type == KRING__FILE_TYPE__DIRECTORY && (!copy->recursive || !target->place)) {
		copy_fail(copy, from, target->place ? "is a directory: -r is needed" :
			  "is a directory, which stdout cannot take");
	} else if (!target->place) {
		/* One behind the other. */
		if (!copy_wait(copy, 0))
			copy_get(copy, from, info, NULL, NULL);
	} else if (choose_name(copy, target, from, name)) {
		link = copy_string(&info->target);
		if (*name)
			get_one(copy, from, info, link, target->place, name, 0);
		else if (info->type == KRING__FILE_TYPE__DIRECTORY)
			get_tree(copy, from, target->place, 0);
		else
			copy_fail(copy, from, "has no name of its own");
		free(link);
	}
	kring_unpack_free(info);
}

static int open_dir(struct copy *copy, struct target *target, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	target->place = place_new(copy, fd, path);
	return target->place ? 0 : -ENOMEM;
}

/*
 * @path is no directory: it is the name of the one source. A symlink that a person has named
 * is followed, as ever.
 */
static int open_parent(struct copy *copy, struct target *target, const char *path)
{
	char *real = realpath(path, NULL);
	char *slash, *dir;
	int code = -ENOTDIR;

	dir = strdup(real ? real : path);
	free(real);
	if (!dir)
		return -ENOMEM;
	slash = strrchr(dir, '/');
	if (slash && !slash[1])
		goto free_dir;
	code = -ENAMETOOLONG;
	if (!copy_base(dir, target->name))
		goto free_dir;
	if (slash)
		slash[slash == dir] = '\0';
	code = open_dir(copy, target, slash ? dir : ".");
free_dir:
	free(dir);
	return code;
}

static int open_target(struct copy *copy, struct target *target, const char *path, int count,
		       bool tree)
{
	size_t len = strlen(path);
	struct stat st;

	target->path = path;
	if (!strcmp(path, "-"))
		return 0;
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return open_dir(copy, target, path);
	if (count > 1)
		return access(path, F_OK) ? -ENOENT : -ENOTDIR;
	/* A new directory for one tree: DST/ is as good as DST. */
	if (tree && len > 1 && path[len - 1] == '/') {
		char *bare = strndup(path, len - 1);
		int code = bare ? open_parent(copy, target, bare) : -ENOMEM;

		free(bare);
		return code;
	}
	return open_parent(copy, target, path);
}

void copy_from_guest(struct copy *copy, char **sources, int count, const char *to)
{
	struct target target = { 0 };
	int code, i;

	code = open_target(copy, &target, to, count, copy->recursive);
	if (code) {
		copy_fail(copy, to, "%s", strerror(-code));
		return;
	}
	for (i = 0; i < count && !copy->lost; i++)
		get_source(copy, *sources[i] ? sources[i] : "/", &target);
	copy_wait(copy, 0);
	place_put(target.place);
}
