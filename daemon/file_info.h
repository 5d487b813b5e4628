/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the host is told of a file.
 */
#ifndef KRINGD_FILE_INFO_H
#define KRINGD_FILE_INFO_H

#include <limits.h>
#include <sys/stat.h>

#include <message.h>

/**
 * struct file_info - a FileInfo, and what it points to
 * @info: the message
 * @target: of a symlink
 */
struct file_info {
	Kring__FileInfo info;
	char target[PATH_MAX];
};

/* All but name and target. */
void file_info_set(Kring__FileInfo *info, const struct stat *st);

/**
 * file_info_read() - look at @name in @dir
 * @file: filled in, for as long as @name is there
 * @dir: directory, or AT_FDCWD
 * @name: within it
 * @follow: a symlink's target, not the symlink
 *
 * Return: 0 or a negative errno.
 */
int file_info_read(struct file_info *file, int dir, const char *name, bool follow);

#endif /* KRINGD_FILE_INFO_H */
