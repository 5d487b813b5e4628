// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "symlink": make one, with its owner and time; a mode it has not.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <attributes.h>

#include "path.h"
#include "services.h"

/* A target is bytes that nobody looks at now: a relative one stays relative. */
static int get_target(char *target, const ProtobufCBinaryData *bytes)
{
	if (!bytes->len)
		return -ENOENT;
	if (memchr(bytes->data, '\0', bytes->len))
		return -EINVAL;
	if (bytes->len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(target, bytes->data, bytes->len);
	target[bytes->len] = '\0';
	return 0;
}

static int make(const struct path_entry *entry, const Kring__Symlink *request)
{
	Kring__Attributes attributes = KRING__ATTRIBUTES__INIT;
	char target[PATH_MAX];
	const char *what;
	int code;

	code = get_target(target, &request->target);
	if (code)
		return code;
	if (symlinkat(target, entry->dir, entry->name))
		return -errno;

	if (request->attributes)
		attributes = *request->attributes;
	attributes.mode = NULL;
	code = kring_set_attributes(entry->dir, entry->name, &attributes, &what);
	if (code)
		unlinkat(entry->dir, entry->name, 0);
	return code;
}

static void symlink_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	const Kring__Symlink *symlink = request;
	struct path_entry entry;
	int code;

	(void)agent;
	code = path_open(&entry, &symlink->path);
	if (!code)
		code = make(&entry, symlink);
	path_answer(stream, code, "symlink", entry.path);
	path_close(&entry);
}

const struct service service_symlink = {
	.name = "symlink",
	.request = &kring__symlink__descriptor,
	.open = symlink_open,
};
