/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Paths that the host sends: bytes, relative ones from /.
 */
#ifndef KRINGD_PATH_H
#define KRINGD_PATH_H

#include <message.h>

/**
 * path_get() - a path as a string
 * @path: to be freed
 * @bytes: as in a request
 *
 * Return: 0, or -ENOENT: it is empty; -EINVAL: it has a NUL; -ENAMETOOLONG, -ENOMEM.
 */
int path_get(char **path, const struct ProtobufCBinaryData *bytes);

/**
 * struct path_entry - where something is, or is going to be
 * @dir: directory that it is in; -1: none
 * @name: within it, without a slash; never empty, "." or ".."
 * @path: all of it, for errors
 */
struct path_entry {
	int dir;
	char *name;
	char *path;
};

/**
 * path_open() - open the directory of what a request names
 * @entry: filled in, also on failure; for path_close()
 * @bytes: as in a request. Slashes at its end do not matter
 *
 * Only symlinks before the name itself are followed.
 *
 * Return: 0 or a negative errno, as of path_get(); -EBUSY: it is /; -EINVAL: it ends in "."
 * or "..".
 */
int path_open(struct path_entry *entry, const struct ProtobufCBinaryData *bytes);
void path_close(struct path_entry *entry);

/* Ends a stream because of a file: "PATH: WHY". @why NULL: what @code, a -errno, says. */
void path_refuse(struct kring_stream *stream, int code, const char *step, const char *path,
		 const char *why);

/* The answer to a request that has no result: Accept and Close, or a refusal where @code. */
void path_answer(struct kring_stream *stream, int code, const char *step, const char *path);

#endif /* KRINGD_PATH_H */
