// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "rename": give a file another name or place in its file system.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "path.h"
#include "services.h"

static void rename_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct path_entry from = { .dir = -1 }, to = { .dir = -1 };
	const Kring__Rename *rename = request;
	const char *path;
	int code;

	(void)agent;
	code = path_open(&from, &rename->from);
	path = from.path;
	if (!code) {
		code = path_open(&to, &rename->to);
		if (code)
			path = to.path;
	}
	if (!code && renameat2(from.dir, from.name, to.dir, to.name,
			       rename->no_replace ? RENAME_NOREPLACE : 0)) {
		code = -errno;
		if (code != -ENOENT)
			path = to.path;
	}
	path_answer(stream, code, "rename", path);
	path_close(&to);
	path_close(&from);
}

const struct service service_rename = {
	.name = "rename",
	.request = &kring__rename__descriptor,
	.open = rename_open,
};
