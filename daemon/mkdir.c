// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "mkdir": make a directory, and what is missing above it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attributes.h>

#include "path.h"
#include "services.h"

#define MODE	0755

/* All directories above, as far as they are missing. @path is as it was afterwards. */
static int make_parents(char *path)
{
	int code = 0;
	char *slash;

	for (slash = strchr(path + 1, '/'); slash && !code; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, MODE) && errno != EEXIST)
			code = -errno;
		*slash = '/';
	}
	return code;
}

/*
 * Whatever our umask is, it gets the mode that was asked for; and its attributes are given
 * to the directory that was made, even if somebody has replaced it.
 */
static int make(const struct path_entry *entry, const Kring__Attributes *attributes)
{
	Kring__Number mode = KRING__NUMBER__INIT;
	Kring__Attributes all = KRING__ATTRIBUTES__INIT;
	const char *what;
	int code, fd;

	if (mkdirat(entry->dir, entry->name, 0700))
		return -errno;
	fd = openat(entry->dir, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	if (attributes)
		all = *attributes;
	if (!all.mode) {
		mode.value = MODE;
		all.mode = &mode;
	}
	code = kring_set_attributes(fd, NULL, &all, &what);
	close(fd);
	if (code)
		unlinkat(entry->dir, entry->name, AT_REMOVEDIR);
	return code;
}

static int exists(const struct path_entry *entry)
{
	struct stat st;

	if (fstatat(entry->dir, entry->name, &st, 0))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -EEXIST;
}

static int make_all(struct path_entry *entry, const Kring__Mkdir *request)
{
	struct stat st;
	char *path;
	int code;

	if (request->parents) {
		code = path_get(&path, &request->path);
		if (code)
			return code;
		code = stat(path, &st) ? make_parents(path) : S_ISDIR(st.st_mode);
		free(path);
		if (code)
			return code > 0 ? 0 : code;
	}
	code = path_open(entry, &request->path);
	if (code)
		return code;
	code = make(entry, request->attributes);
	if (code == -EEXIST && request->parents)
		code = exists(entry);
	return code;
}

static void mkdir_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct path_entry entry = { .dir = -1 };
	const Kring__Mkdir *mkdir = request;
	int code;

	(void)agent;
	code = make_all(&entry, mkdir);
	/* Before it was opened, there is no string yet. */
	if (code && !entry.path)
		path_get(&entry.path, &mkdir->path);
	path_answer(stream, code, "mkdir", entry.path);
	path_close(&entry);
}

const struct service service_mkdir = {
	.name = "mkdir",
	.request = &kring__mkdir__descriptor,
	.open = mkdir_open,
};
