// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Paths that the host sends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"

int path_get(char **path, const ProtobufCBinaryData *bytes)
{
	bool relative;
	char *copy;

	*path = NULL;
	if (!bytes->len)
		return -ENOENT;
	if (memchr(bytes->data, '\0', bytes->len))
		return -EINVAL;
	if (bytes->len >= PATH_MAX - 1)
		return -ENAMETOOLONG;

	relative = bytes->data[0] != '/';
	copy = malloc(bytes->len + 2);
	if (!copy)
		return -ENOMEM;
	copy[0] = '/';
	memcpy(copy + relative, bytes->data, bytes->len);
	copy[relative + bytes->len] = '\0';
	*path = copy;
	return 0;
}

int path_open(struct path_entry *entry, const ProtobufCBinaryData *bytes)
{
	char *name;
	size_t len;
	int code;

	entry->dir = -1;
	entry->name = NULL;
	code = path_get(&entry->path, bytes);
	if (code)
		return code;

	for (len = strlen(entry->path); len > 1 && entry->path[len - 1] == '/'; len--)
		entry->path[len - 1] = '\0';
	name = strrchr(entry->path, '/') + 1;
	if (!*name)
		return -EBUSY;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	entry->name = strdup(name);
	if (!entry->name)
		return -ENOMEM;

	*name = '\0';
	entry->dir = open(entry->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* What may not be listed may still be worked in. */
	if (entry->dir < 0 && errno == EACCES)
		entry->dir = open(entry->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (entry->dir < 0)
		code = -errno;
	*name = entry->name[0];
	return code;
}

void path_close(struct path_entry *entry)
{
	if (entry->dir >= 0)
		close(entry->dir);
	entry->dir = -1;
	free(entry->name);
	entry->name = NULL;
	free(entry->path);
	entry->path = NULL;
}

void path_refuse(struct kring_stream *stream, int code, const char *step, const char *path,
		 const char *why)
{
	kring_reset(stream, -code, step, "%s: %s", path ? path : "path",
		    why ? why : strerror(-code));
}

void path_answer(struct kring_stream *stream, int code, const char *step, const char *path)
{
	if (!code)
		code = kring_accept(stream, NULL, 0);
	if (code)
		path_refuse(stream, code, step, path, NULL);
	else
		kring_close(stream, NULL);
}
