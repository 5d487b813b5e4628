// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A process that is not this one's child. Who is not its parent cannot keep its number from
 * being given to another one, but can tell by the time at which it began.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "process.h"

#define SECOND	1000000000ull

/* CLOCK_BOOTTIME at which it began, as exactly as a tick (proc(5)); 0: not there. */
static uint64_t began(pid_t pid)
{
	char path[40], text[1024], *at;
	uint64_t ticks = 0;
	ssize_t len;
	int fd, field;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	/* Behind the name, which may have blanks and brackets in it. */
	at = strrchr(text, ')');
	for (field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		ticks = strtoull(at, NULL, 10);
	return ticks * (SECOND / sysconf(_SC_CLK_TCK));
}

int process_open(pid_t pid, uint64_t from, uint64_t to)
{
	uint64_t tick = SECOND / sysconf(_SC_CLK_TCK), start;
	int pidfd = pidfd_open(pid, 0);

	if (pidfd < 0)
		return -errno;
	/* Read behind the open: if it is the right one now, it was then. */
	start = began(pid);
	if (start && start + tick >= from && start <= to)
		return pidfd;
	close(pidfd);
	return -ESRCH;
}
