// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Start a program.
 *
 * By fork() and not by something like vfork(), whose parent waits until the program's file
 * is read: on a file system that hangs, all other sessions would hang with it. The agent is
 * small, so there are few page tables to copy, and it has one thread, so the child may call
 * what it likes. A pipe that closes on exec tells the parent how it went, without waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper.h"
#include "spawn.h"

/* Where the environment has no PATH. */
#define PATH_DEFAULT	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char *spawn_getenv(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

/*
 * In the child. Each step returns 0, or fills in the failure.
 */

/* The agent ignores and blocks what it likes: a program starts as from a shell. */
static void reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;
	int signal;

	for (signal = 1; signal < NSIG; signal++)
		sigaction(signal, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* It does not matter whether it succeeds. */
static void try_write(int fd, const char *text)
{
	ssize_t len = write(fd, text, strlen(text));

	(void)len;
}

/* The agent shall outlive a shortage of memory, a program need not. */
static void reset_oom_score(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Where it is refused, the program runs with the agent's. */
	try_write(fd, "0");
	close(fd);
}

/* Where the cgroup does not take it, it stays in the agent's: no reason not to run. */
static void join_cgroup(int procs)
{
	if (procs >= 0)
		try_write(procs, "0");
}

/* There are none of other sessions, whose pipes would not end before this exec is done. */
int spawn_arrange(int *files, int count, struct failure *failure)
{
	int i;

	for (i = 0; i < count; i++) {
		if (files[i] < 0 || files[i] >= count)
			continue;
		files[i] = fcntl(files[i], F_DUPFD_CLOEXEC, count);
		if (files[i] < 0)
			return failure_errno(failure, errno, "files", "dup");
	}
	for (i = 0; i < count; i++) {
		if (files[i] < 0)
			close(i);
		else if (dup3(files[i], i, i >= SPAWN_REPORT ? O_CLOEXEC : 0) < 0)
			return failure_errno(failure, errno, "files", "dup");
	}
	/* Older kernels cannot; but all are close-on-exec. */
	close_range(count, ~0U, 0);
	return 0;
}

/* Descriptors 0 to SPAWN_REPORT are what they are to be. *@report: where that is now. */
static int arrange_files(const struct spawn *spawn, int *report, struct failure *failure)
{
	int files[SPAWN_REPORT + 1] = {
		spawn->files[0], spawn->files[1], spawn->files[2], *report
	};
	int code;

	/* A keeper has done so. */
	if (spawn->keeper) {
		close_range(SPAWN_REPORT + 1, ~0U, 0);
		return 0;
	}
	code = spawn_arrange(files, SPAWN_REPORT + 1, failure);
	if (!code)
		*report = SPAWN_REPORT;
	return code;
}

static int set_limits(const struct spawn *spawn, struct failure *failure)
{
	static const char *const names[] = {
		[RLIMIT_CPU] = "cpu", [RLIMIT_FSIZE] = "fsize", [RLIMIT_DATA] = "data",
		[RLIMIT_STACK] = "stack", [RLIMIT_CORE] = "core", [RLIMIT_RSS] = "rss",
		[RLIMIT_NPROC] = "nproc", [RLIMIT_NOFILE] = "nofile",
		[RLIMIT_MEMLOCK] = "memlock", [RLIMIT_AS] = "as", [RLIMIT_LOCKS] = "locks",
		[RLIMIT_SIGPENDING] = "sigpending", [RLIMIT_MSGQUEUE] = "msgqueue",
		[RLIMIT_NICE] = "nice", [RLIMIT_RTPRIO] = "rtprio", [RLIMIT_RTTIME] = "rttime",
		[RLIM_NLIMITS] = "none of the resources",
	};
	unsigned int resource;
	size_t i;

	for (i = 0; i < spawn->limit_count; i++) {
		if (!setrlimit(spawn->limits[i].resource, &spawn->limits[i].limit))
			continue;
		resource = spawn->limits[i].resource;
		return failure_errno(failure, errno, "rlimit",
				     names[resource < RLIM_NLIMITS ? resource : RLIM_NLIMITS]);
	}
	return 0;
}

static int change_directory(const struct spawn *spawn, struct failure *failure)
{
	/* What a relative one begins at. */
	if (chdir("/"))
		return failure_errno(failure, errno, "chdir", "/");
	if (spawn->cwd) {
		if (chdir(spawn->cwd))
			return failure_errno(failure, errno, "chdir", spawn->cwd);
	} else if (chdir(spawn->identity->home)) {
		/* A user may have none. */
		return 0;
	}
	return 0;
}

/* Does not return but with an errno. */
static int execute_path(const struct spawn *spawn, const char *path, struct failure *failure)
{
	execve(path, spawn->argv, spawn->envp);
	if (errno == ENOENT && !access(path, F_OK))
		return failure_set(failure, ENOENT, "exec",
				   "%.200s: its interpreter is not there", path);
	return failure_errno(failure, errno, "exec", path);
}

static int execute(const struct spawn *spawn, struct failure *failure)
{
	const char *name = spawn->argv[0], *dir = spawn_getenv(spawn->envp, "PATH");
	bool denied = false;
	char path[PATH_MAX];
	size_t len;
	int code;

	/* From now on it may outlive its keeper. */
	prctl(PR_SET_PDEATHSIG, 0);
	if (!*name || strchr(name, '/'))
		return execute_path(spawn, name, failure);
	for (dir = dir ? dir : PATH_DEFAULT; ; dir += len + 1) {
		len = strcspn(dir, ":");
		if (snprintf(path, sizeof(path), "%.*s%s%s", (int)len, dir, len ? "/" : "",
			     name) < (int)sizeof(path)) {
			code = execute_path(spawn, path, failure);
			if (code != -ENOENT && code != -ENOTDIR && code != -EACCES)
				return code;
			/* It is there, at least. */
			if (code == -ENOENT && !access(path, F_OK))
				return code;
			denied |= code == -EACCES;
		}
		if (!dir[len])
			break;
	}
	return failure_errno(failure, denied ? EACCES : ENOENT, "exec", name);
}

static int become(struct spawn *spawn, int *report, struct failure *failure)
{
	int code;

	reset_signals();
	reset_oom_score();
	join_cgroup(spawn->cgroup);
	code = arrange_files(spawn, report, failure);
	if (code)
		return code;
	if (setsid() < 0)
		return failure_errno(failure, errno, "setsid", "session");
	if (spawn->tty && ioctl(STDIN_FILENO, TIOCSCTTY, 0))
		return failure_errno(failure, errno, "tty", "make it the controlling terminal");
	code = spawn->identify(spawn, failure);
	if (code)
		return code;
	/* As login(1) does. Who cannot give it away is not root, and so is the program. */
	if (spawn->tty && fchown(STDIN_FILENO, spawn->identity->uid, -1) && errno != EPERM)
		return failure_errno(failure, errno, "tty", "give it to the user");
	/* Limits may need the agent's rights, the rest must have the user's. */
	code = set_limits(spawn, failure);
	if (code)
		return code;
	code = identity_assume(spawn->identity, failure);
	if (code)
		return code;
	umask(spawn->umask);
	code = change_directory(spawn, failure);
	if (code)
		return code;
	return execute(spawn, failure);
}

void spawn_fail(int report, const struct failure *failure)
{
	/* A pipe takes so little at once; and if the agent has gone there is nobody to tell. */
	if (write(report, failure, sizeof(*failure)) < 0)
		_exit(126);
	_exit(127);
}

void spawn_become(struct spawn *spawn, int report)
{
	struct failure failure = { 0 };

	become(spawn, &report, &failure);
	spawn_fail(report, &failure);
}

/*
 * In the parent
 */

pid_t spawn_start(struct spawn *spawn, int *report, struct failure *failure)
{
	sigset_t all, before;
	int pipe_fds[2];
	pid_t pid;
	int code;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
		return failure_errno(failure, errno, "fork", "pipe");
	/* No handler of the agent's is to run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid && spawn->keeper)
		keeper_run(spawn->keeper, spawn, pipe_fds[1]);
	if (!pid)
		spawn_become(spawn, pipe_fds[1]);
	code = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return failure_errno(failure, code, "fork", spawn->argv[0]);
	}
	*report = pipe_fds[0];
	return pid;
}

int spawn_report(int report, struct failure *failure)
{
	ssize_t len;

	do {
		len = read(report, failure, sizeof(*failure));
	} while (len < 0 && errno == EINTR);
	if (!len)
		return 0;
	if (len < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (len != sizeof(*failure) || failure->number <= 0)
		return failure_set(failure, EIO, "fork", "the child has not said what it lacks");
	return -failure->number;
}
