// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Programs that kringd runs for itself.
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

static void helper_ended(struct child *child, int status, const struct rusage *usage)
{
	struct helper *helper = container_of(child, struct helper, child);

	(void)usage;
	helper->done(helper, status);
}

static int helper_attributes(posix_spawnattr_t *attr)
{
	sigset_t set;
	int err;

	err = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				       POSIX_SPAWN_SETPGROUP);
	if (err)
		return err;
	sigemptyset(&set);
	err = posix_spawnattr_setsigmask(attr, &set);
	if (err)
		return err;
	sigfillset(&set);
	return posix_spawnattr_setsigdefault(attr, &set);
}

static int helper_files(posix_spawn_file_actions_t *files, int output)
{
	int err;

	err = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (err)
		return err;
	if (output < 0)
		return posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null",
							O_WRONLY, 0);
	return posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
}

int helper_start(struct helper *helper, struct loop *loop, char *const argv[], int output,
		 void (*done)(struct helper *helper, int status))
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	pid_t pid;
	int err;

	err = posix_spawn_file_actions_init(&files);
	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err)
		goto destroy_files;
	err = helper_files(&files, output);
	if (err)
		goto destroy_attr;
	err = helper_attributes(&attr);
	if (err)
		goto destroy_attr;

	err = posix_spawn(&pid, argv[0], &files, &attr, argv, environ);
	if (err)
		goto destroy_attr;
	helper->done = done;
	err = -child_watch(&helper->child, loop, pid, helper_ended);

destroy_attr:
	posix_spawnattr_destroy(&attr);
destroy_files:
	posix_spawn_file_actions_destroy(&files);
	if (err)
		helper->child.pid = 0;
	return -err;
}

void helper_kill(struct helper *helper, int signal)
{
	if (helper->child.pid)
		kill(helper->child.pid, signal);
}

const char *helper_status_text(int status, char *buf, size_t size)
{
	if (status == -1)
		snprintf(buf, size, "ended, nobody knows how");
	else if (WIFSIGNALED(status))
		snprintf(buf, size, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(buf, size, "exited with %d", WEXITSTATUS(status));
	return buf;
}
