// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the host is told of a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <attributes.h>

#include "file_info.h"

static Kring__FileType file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return KRING__FILE_TYPE__REGULAR;
	case S_IFDIR:
		return KRING__FILE_TYPE__DIRECTORY;
	case S_IFLNK:
		return KRING__FILE_TYPE__SYMLINK;
	case S_IFIFO:
		return KRING__FILE_TYPE__FIFO;
	case S_IFSOCK:
		return KRING__FILE_TYPE__SOCKET;
	case S_IFCHR:
		return KRING__FILE_TYPE__CHARACTER;
	case S_IFBLK:
		return KRING__FILE_TYPE__BLOCK;
	default:
		return KRING__FILE_TYPE__UNKNOWN;
	}
}

void file_info_set(Kring__FileInfo *info, const struct stat *st)
{
	kring__file_info__init(info);
	info->type = file_type(st->st_mode);
	info->mode = st->st_mode & 07777;
	info->uid = st->st_uid;
	info->gid = st->st_gid;
	info->size = st->st_size;
	info->blocks = st->st_blocks;
	info->mtime = kring_nanoseconds(&st->st_mtim);
	info->inode = st->st_ino;
	info->links = st->st_nlink;
}

int file_info_read(struct file_info *file, int dir, const char *name, bool follow)
{
	struct stat st;
	ssize_t len;

	if (fstatat(dir, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW))
		return -errno;
	file_info_set(&file->info, &st);
	file->info.name.data = (uint8_t *)name;
	file->info.name.len = strlen(name);
	if (!S_ISLNK(st.st_mode))
		return 0;

	len = readlinkat(dir, name, file->target, sizeof(file->target));
	if (len < 0)
		return -errno;
	file->info.target.data = (uint8_t *)file->target;
	file->info.target.len = len;
	return 0;
}
