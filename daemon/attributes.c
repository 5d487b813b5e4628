// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "attributes": change mode, owner or time of a file. A symlink is not followed: it
 * is the file.
 */
#include <attributes.h>

#include "path.h"
#include "services.h"

static void attributes_open(struct agent *agent, struct kring_stream *stream,
			    const void *request)
{
	const Kring__SetAttributes *set = request;
	const char *what = "path";
	struct path_entry entry;
	int code;

	(void)agent;
	code = path_open(&entry, &set->path);
	if (!code)
		code = kring_set_attributes(entry.dir, entry.name, set->attributes, &what);
	path_answer(stream, code, what, entry.path);
	path_close(&entry);
}

const struct service service_attributes = {
	.name = "attributes",
	.request = &kring__set_attributes__descriptor,
	.open = attributes_open,
};
