// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A cgroup (version 2) for each session, directly in the file system: a scope of systemd's
 * would take two messages on the bus for each exec, and a bus.
 *
 *	.../kringd.service/		delegated (Delegate=yes)
 *		kring-agent/		the agent itself (DelegateSubgroup=kring-agent)
 *		kring-session-N/
 *
 * The memory controller is enabled for sessions only where systemd has put the agent into
 * that subgroup, or at the root: a cgroup that has controllers for those below takes no
 * process of its own, so systemd could not start the agent again beside sessions that have
 * survived it. Without it, the count of the whole system has to do.
 *
 * A process that outlives its session keeps the cgroup alive. So each removal also tries
 * some that could not be removed before.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cgroup.h"
#include "log.h"

#define SESSION_PREFIX	"kring-session-"
#define AGENT		"kring-agent"
#define RETRIES		4

struct remains {
	STAILQ_ENTRY(remains) list;
	uint64_t number;
};

static STAILQ_HEAD(, remains) remains = STAILQ_HEAD_INITIALIZER(remains);

/* The agent's own at first, -1: there are no cgroups for sessions. */
static int base = -1;

static int open_file(uint64_t number, const char *file, int flags)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), SESSION_PREFIX "%" PRIu64 "/%s", number, file);
	fd = openat(base, path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int write_file(int fd, const char *text)
{
	int code = write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return code;
}

static int write_base(const char *file, const char *text)
{
	int fd = openat(base, file, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : write_file(fd, text);
}

/* The value of KEY in a file of lines "KEY VALUE"; -1: there is none. */
static long long read_value(int fd, const char *key)
{
	size_t len = strlen(key), room = 0;
	long long value = -1;
	char *line = NULL;
	FILE *file;

	if (fd < 0)
		return -1;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -1;
	}
	while (value < 0 && getline(&line, &room, file) > 0)
		if (!strncmp(line, key, len) && line[len] == ' ')
			value = strtoll(line + len, NULL, 10);
	free(line);
	fclose(file);
	return value;
}

static int remove_now(uint64_t number)
{
	char name[64];

	snprintf(name, sizeof(name), SESSION_PREFIX "%" PRIu64, number);
	return unlinkat(base, name, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}

/* Where the agent's own is mounted; *@subgroup: and it is in a subgroup of that. */
static int own_path(char *path, size_t size, bool *subgroup)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL };
	FILE *file = fopen("/proc/self/cgroup", "re");
	const char *mount = NULL;
	char *line = NULL;
	struct statfs fs;
	size_t room = 0, i;
	int code = -ENOENT;

	if (!file)
		return -errno;
	for (i = 0; mounts[i] && !mount; i++)
		if (!statfs(mounts[i], &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
			mount = mounts[i];
	while (mount && getline(&line, &room, file) > 0) {
		if (strncmp(line, "0::/", 4))
			continue;
		line[strcspn(line, "\n")] = '\0';
		code = snprintf(path, size, "%s%s", mount, line + 3) < (int)size ?
		       0 : -ENAMETOOLONG;
		*subgroup = !code && !strcmp(strrchr(path, '/'), "/" AGENT);
		if (*subgroup)
			*strrchr(path, '/') = '\0';
		break;
	}
	free(line);
	fclose(file);
	return code;
}

/* The root has no cgroup.type. */
static bool is_root(void)
{
	return faccessat(base, "cgroup.type", F_OK, 0) && errno == ENOENT;
}

/* Whether it is the agent's to make cgroups in. */
static bool is_delegated(const char *path)
{
	char value;

	if (getxattr(path, "trusted.delegate", &value, 1) == 1 && value == '1')
		return true;
	if (getxattr(path, "user.delegate", &value, 1) == 1 && value == '1')
		return true;
	/* The root is nobody's, but systemd's where that runs. */
	return is_root() && access("/run/systemd/system", F_OK);
}

/* So that memory.events counts what happens in each. It is no reason not to have them. */
static void enable_memory(void)
{
	int code = write_base("cgroup.subtree_control", "+memory");

	if (code)
		log_debug("cgroups without the memory controller: %s", strerror(-code));
}

/* What an earlier agent has left: empty ones go, of the rest the largest number counts. */
static uint64_t sweep(bool (*known)(uint64_t number))
{
	DIR *dir = NULL;
	struct dirent *entry;
	uint64_t number, largest = 0;
	int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, SESSION_PREFIX "%" SCNu64, &number) != 1)
			continue;
		if (!known(number)) {
			if (!remove_now(number))
				continue;
			cgroup_remove(number);
		}
		if (number > largest)
			largest = number;
	}
	closedir(dir);
	return largest;
}

uint64_t cgroup_init(bool (*known)(uint64_t number))
{
	char path[PATH_MAX];
	bool subgroup = false;

	if (own_path(path, sizeof(path), &subgroup))
		return 0;
	base = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return 0;
	if (!is_delegated(path)) {
		log_debug("no cgroups for sessions: %s is not delegated", path);
		close(base);
		base = -1;
		return 0;
	}
	if (subgroup || is_root())
		enable_memory();
	return sweep(known);
}

void cgroup_fini(void)
{
	struct remains *entry;

	while ((entry = STAILQ_FIRST(&remains))) {
		STAILQ_REMOVE_HEAD(&remains, list);
		free(entry);
	}
	if (base >= 0)
		close(base);
	base = -1;
}

int cgroup_create(uint64_t number)
{
	char name[64];
	int fd, code;

	if (base < 0)
		return -ENOENT;
	snprintf(name, sizeof(name), SESSION_PREFIX "%" PRIu64, number);
	if (mkdirat(base, name, 0755)) {
		code = -errno;
		log_debug("cgroup %s: %s", name, strerror(-code));
		return code;
	}
	fd = open_file(number, "cgroup.procs", O_WRONLY);
	if (fd < 0)
		remove_now(number);
	return fd;
}

int cgroup_kill(uint64_t number)
{
	int fd = open_file(number, "cgroup.kill", O_WRONLY);

	return fd < 0 ? fd : write_file(fd, "1");
}

int cgroup_oom_killed(uint64_t number)
{
	long long kills = read_value(open_file(number, "memory.events", O_RDONLY), "oom_kill");

	return kills < 0 ? -ENOENT : kills > 0;
}

uint64_t cgroup_oom_kills(void)
{
	long long kills = read_value(open("/proc/vmstat", O_RDONLY | O_CLOEXEC), "oom_kill");

	return kills < 0 ? 0 : kills;
}

bool cgroup_populated(uint64_t number)
{
	return read_value(open_file(number, "cgroup.events", O_RDONLY), "populated") > 0;
}

void cgroup_remove(uint64_t number)
{
	struct remains *entry;
	int i;

	if (base < 0)
		return;
	if (remove_now(number)) {
		entry = malloc(sizeof(*entry));
		/* Without memory it is left to the next agent. */
		if (!entry)
			return;
		entry->number = number;
		STAILQ_INSERT_TAIL(&remains, entry, list);
		return;
	}
	for (i = 0; i < RETRIES && (entry = STAILQ_FIRST(&remains)); i++) {
		STAILQ_REMOVE_HEAD(&remains, list);
		if (remove_now(entry->number))
			STAILQ_INSERT_TAIL(&remains, entry, list);
		else
			free(entry);
	}
}
