// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A keeper that another agent has started. Its number may be another process's by now; but
 * nobody else has the pipe that the record tells of.
 */
#include <errno.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper.h"
#include "loop.h"

/* pid in record->keeper: it may not begin any more. */
#define REFUSED	UINT32_MAX

/* *@fd is -1 where it has closed that. 0 or a negative errno. */
static int take(int *fd, int pidfd, int number)
{
	*fd = pidfd_getfd(pidfd, number, 0);
	return *fd < 0 && errno != EBADF ? -errno : 0;
}

static bool is_same(int fd, const struct session_record *record)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode) && st.st_ino == record->over_inode;
}

void keeper_close(struct keeper *keeper)
{
	int *fds[] = {
		&keeper->over[0], &keeper->input, &keeper->outputs[0], &keeper->outputs[1],
		&keeper->relay[0], &keeper->relay[1],
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int take_all(struct keeper *keeper, const struct session_record *record, int pidfd)
{
	int code = take(&keeper->over[0], pidfd, KEEPER_OVER_AGENT);

	/* Another process has its number now. */
	if (!code && (keeper->over[0] < 0 || !is_same(keeper->over[0], record)))
		return -ESRCH;
	if (!code && record->input)
		code = take(&keeper->input, pidfd, KEEPER_INPUT);
	if (!code)
		code = take(&keeper->outputs[0], pidfd, KEEPER_OUTPUT);
	if (!code)
		code = take(&keeper->outputs[1], pidfd, KEEPER_ERRORS);
	if (!code)
		code = take(&keeper->relay[0], pidfd, KEEPER_RELAY_AGENT);
	if (!code)
		code = take(&keeper->relay[1], pidfd, KEEPER_RELAY);
	return code;
}

int keeper_find(struct keeper *keeper, struct session_record *record)
{
	uint64_t none = record->number << 32;
	int pidfd, code;
	pid_t pid;

	*keeper = (struct keeper){
		.record = record, .life = -1, .over = { -1, -1 }, .input = -1,
		.outputs = { -1, -1 }, .relay = { -1, -1 },
	};
	/* See claim(). */
	if (__atomic_compare_exchange_n(&record->keeper, &none, none | REFUSED, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EAGAIN;
	pid = record->keeper & UINT32_MAX;
	if (pid <= 0)
		return -EAGAIN;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	code = take_all(keeper, record, pidfd);
	if (!code)
		return pidfd;
	keeper_close(keeper);
	close(pidfd);
	return code;
}
