// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "stat": what a file is.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "file_info.h"
#include "path.h"
#include "services.h"

static void stat_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	const Kring__Stat *stat = request;
	struct file_info file;
	char *path;
	int code;

	(void)agent;
	code = path_get(&path, &stat->path);
	if (!code)
		code = file_info_read(&file, AT_FDCWD, path, stat->follow);
	if (!code)
		code = kring_accept(stream, NULL, 0);
	if (code)
		path_refuse(stream, code, "stat", path, NULL);
	else
		kring_close(stream, &file.info.base);
	free(path);
}

const struct service service_stat = {
	.name = "stat",
	.request = &kring__stat__descriptor,
	.open = stat_open,
};
