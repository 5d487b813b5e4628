/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Both ends of the regions that kring_loop.ko makes, found by what sysfs says of them: a guest
 * may have other regions, too. Skips where there is none.
 */
#ifndef KRING_LOOP_H
#define KRING_LOOP_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kring.h>

#include "../kselftest.h"

#define LOOP_CLASS	"/sys/class/kring"

/**
 * struct loop - one region of kring_loop.ko
 * @guest: path of the guest's end
 * @host: path of the host's end
 */
struct loop {
	char guest[64];
	char host[64];
};

/* The first line of an attribute of @node; empty where there is none. */
static inline void loop_attribute(const char *node, const char *name, char *value, size_t size)
{
	char path[PATH_MAX];
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), LOOP_CLASS "/%s/%s", node, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, value, size - 1);
		close(fd);
	}
	value[len > 0 ? len : 0] = '\0';
	value[strcspn(value, "\n")] = '\0';
}

/*
 * The node of one end, "guest" or "host", of the region @name.
 * Return: whether there is one; its path is in @path then.
 */
static inline bool loop_node(const char *name, const char *end, char *path, size_t size)
{
	char value[64];
	struct dirent *entry;
	DIR *dir = opendir(LOOP_CLASS);
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		loop_attribute(entry->d_name, "name", value, sizeof(value));
		if (strcmp(value, name))
			continue;
		loop_attribute(entry->d_name, "end", value, sizeof(value));
		found = !strcmp(value, end);
		if (found)
			snprintf(path, size, "/dev/%.32s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/**
 * loop_find() - the region loop@number
 * @loop: its paths
 * @number: from 0
 *
 * Return: NULL, or why it cannot be used: a reason to skip.
 */
static inline const char *loop_find(struct loop *loop, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "loop%u", number);
	if (!loop_node(name, "guest", loop->guest, sizeof(loop->guest)) ||
	    !loop_node(name, "host", loop->host, sizeof(loop->host)))
		return "no such region: modprobe kring_loop (count=2 for more than one)";
	if (access(loop->guest, R_OK | W_OK) || access(loop->host, R_OK | W_OK))
		return "no right to open the devices: run it as root";
	return NULL;
}

/*
 * Skip all tests. Before main(), as kselftest_harness.h of Linux 6.1 runs a test that its fixture
 * has skipped.
 */
static inline void loop_skip(const char *reason)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", reason);
	fflush(stdout);
	_exit(KSFT_SKIP);
}

/* How many regions a program needs. */
#ifndef LOOPS
#define LOOPS	1
#endif

static void __attribute__((constructor)) loop_or_skip(void)
{
	struct loop loop;
	const char *reason = loop_find(&loop, LOOPS - 1);

	if (reason)
		loop_skip(reason);
}

#endif /* KRING_LOOP_H */
