// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The mark of a quiesced guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "quiesce_mark.h"

/* False: there is no place for it. */
static bool mark_path(char *path, size_t size)
{
	const char *dir = getenv("RUNTIME_DIRECTORY");

	if (!dir || dir[0] != '/')
		return false;
	/* There may be several, with colons between them. */
	return snprintf(path, size, "%.*s/quiesced", (int)strcspn(dir, ":"), dir) < (int)size;
}

void quiesce_mark_set(void)
{
	char path[PATH_MAX];
	int fd;

	if (!mark_path(path, sizeof(path)))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		log_warning("%s: %s", path, strerror(errno));
	else
		close(fd);
}

void quiesce_mark_clear(void)
{
	char path[PATH_MAX];

	if (mark_path(path, sizeof(path)))
		unlink(path);
}

bool quiesce_mark_is_set(void)
{
	char path[PATH_MAX];

	return mark_path(path, sizeof(path)) && !access(path, F_OK);
}
