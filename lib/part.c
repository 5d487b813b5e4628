// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Files in the making.
 *
 * A directory such as /tmp has other users, who may have put something of the temporary
 * name there: a link to elsewhere, or a file that they keep open. So it is never followed,
 * and it is only ours when nobody else can have touched it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "part.h"

#define TRIES	8

bool kring_token_ok(const char *token)
{
	size_t len = 0;

	while ((token[len] >= 'a' && token[len] <= 'z') ||
	       (token[len] >= 'A' && token[len] <= 'Z') ||
	       (token[len] >= '0' && token[len] <= '9') || token[len] == '-')
		if (++len > KRING_TOKEN_MAX)
			return false;
	return len && !token[len];
}

static int make_name(struct kring_part *part)
{
	uint64_t number;

	if (kring_random(&number, sizeof(number)))
		return -EIO;
	snprintf(part->name, sizeof(part->name), ".kring-%016llx.part",
		 (unsigned long long)number);
	return 0;
}

/* Without a name as long as possible: so nothing is left behind, however we end. */
static int open_fresh(struct kring_part *part)
{
	int i;

	part->name[0] = '\0';
	part->fd = openat(part->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (part->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;

	for (i = 0; i < TRIES; i++) {
		if (make_name(part))
			return -EIO;
		part->fd = openat(part->dir, part->name,
				  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (part->fd >= 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* The first way needs a privilege before Linux 6.10, the second one /proc. */
static int link_as(const struct kring_part *part, const char *name)
{
	char path[32];

	if (part->name[0])
		return linkat(part->dir, part->name, part->dir, name, 0) ? -errno : 0;
	if (!linkat(part->fd, "", part->dir, name, AT_EMPTY_PATH))
		return 0;
	if (errno == EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", part->fd);
	if (!linkat(AT_FDCWD, path, part->dir, name, AT_SYMLINK_FOLLOW))
		return 0;
	return -errno;
}

int kring_part_name(struct kring_part *part)
{
	struct kring_part named = *part;
	int code = -EEXIST;
	int i;

	if (part->name[0])
		return 0;
	for (i = 0; i < TRIES && code == -EEXIST; i++) {
		code = make_name(&named);
		if (!code)
			code = link_as(part, named.name);
	}
	if (!code)
		*part = named;
	return code;
}

/* Whether the open file is still the one of that name, and nobody else's. */
static int check_ours(const struct kring_part *part, struct stat *st)
{
	struct stat named;

	if (fstat(part->fd, st))
		return -errno;
	if (fstatat(part->dir, part->name, &named, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? -EAGAIN : -errno;
	if (st->st_dev != named.st_dev || st->st_ino != named.st_ino)
		return -EAGAIN;
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_nlink != 1 ||
	    (st->st_mode & 077))
		return -EEXIST;
	return 0;
}

static int open_named(struct kring_part *part, struct stat *st)
{
	int code;

	part->fd = openat(part->dir, part->name,
			  O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
	if (part->fd < 0)
		return errno == ELOOP ? -EEXIST : -errno;
	/* File systems that have no locks must do without. */
	if (flock(part->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		code = -EBUSY;
	else
		code = check_ours(part, st);
	if (code) {
		close(part->fd);
		part->fd = -1;
	}
	return code;
}

static int open_again(struct kring_part *part, const char *token, uint64_t *size)
{
	struct stat st;
	int code = -EAGAIN;
	int i;

	snprintf(part->name, sizeof(part->name), ".kring-%s.part", token);
	for (i = 0; i < TRIES && code; i++) {
		code = open_named(part, &st);
		/*
		 * One that had its attributes already is of no use any more; neither is what
		 * somebody else has put there.
		 */
		if (code == -EEXIST && unlinkat(part->dir, part->name, 0) && errno != ENOENT)
			return -EEXIST;
		if (code && code != -EEXIST && code != -EAGAIN)
			return code;
	}
	if (!code)
		*size = st.st_size;
	return code;
}

int kring_part_open(struct kring_part *part, int dir, const char *token, uint64_t *size)
{
	part->dir = dir;
	part->fd = -1;
	part->keep = token;
	*size = 0;
	if (!token)
		return open_fresh(part);
	if (!kring_token_ok(token))
		return -EINVAL;
	return open_again(part, token, size);
}

int kring_part_link(struct kring_part *part, const char *name)
{
	int code = link_as(part, name);

	if (!code && part->name[0])
		unlinkat(part->dir, part->name, 0);
	return code;
}

int kring_part_take(struct kring_part *part, const char *name, bool no_replace)
{
	int code;

	code = kring_part_name(part);
	if (code)
		return code;
	code = renameat2(part->dir, part->name, part->dir, name,
			 no_replace ? RENAME_NOREPLACE : 0) ? -errno : 0;
	if (code == -EINVAL && no_replace)
		code = kring_part_link(part, name);
	if (!code)
		kring_part_taken(part);
	return code;
}

void kring_part_taken(struct kring_part *part)
{
	if (part->fd >= 0)
		close(part->fd);
	part->fd = -1;
}

void kring_part_close(struct kring_part *part)
{
	if (part->fd < 0)
		return;
	if (!part->keep && part->name[0])
		unlinkat(part->dir, part->name, 0);
	close(part->fd);
	part->fd = -1;
}
