// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Being PID 1: the little that nobody else does in a VM whose init this is.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "init.h"
#include "log.h"

/* For programs to end by themselves, and for disks to take what was written. */
#define TERM_MS	3000
#define SYNC_MS	10000

static const struct {
	const char *type;
	const char *target;
	unsigned long flags;
	const char *data;
} mounts[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=0755" },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666" },
	{ "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755" },
	{ "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
};

bool init_is_us(void)
{
	return getpid() == 1;
}

static bool is_mounted(const char *target)
{
	char parent[PATH_MAX];
	struct stat here, above;

	snprintf(parent, sizeof(parent), "%s", target);
	return !stat(target, &here) && !stat(dirname(parent), &above) &&
		here.st_dev != above.st_dev;
}

static void mount_all(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (is_mounted(mounts[i].target))
			continue;
		mkdir(mounts[i].target, 0755);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			  mounts[i].data) && errno != EBUSY)
			log_warning("mount %s: %s", mounts[i].target, strerror(errno));
	}
}

/* The kernel could not open a console where there was no /dev. */
static void open_console(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/console", fd ? O_WRONLY | O_NOCTTY : O_RDONLY | O_NOCTTY);
}

static void loopback_up(void)
{
	struct ifreq req = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!ioctl(fd, SIOCGIFFLAGS, &req)) {
		req.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &req))
			log_warning("lo: %s", strerror(errno));
	}
	close(fd);
}

/* What waits for the device would wait for ever where nobody loads its driver. */
static void load_module(void)
{
	static const char *const programs[] = { "/sbin/modprobe", "/usr/sbin/modprobe" };
	char *argv[] = { NULL, (char *)"-q", (char *)"kring", NULL };
	size_t i;
	pid_t pid;

	if (!access("/sys/module/kring", F_OK))
		return;
	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		argv[0] = (char *)programs[i];
		if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ))
			continue;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		break;
	}
	if (access("/sys/module/kring", F_OK))
		log_warning("module kring: not loaded");
}

void init_start(void)
{
	mount_all();
	open_console();
	loopback_up();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
	/* Ctrl-Alt-Del is a SIGINT for us. */
	reboot(RB_DISABLE_CAD);
	load_module();
}

static uint64_t milliseconds(void)
{
	return clock_now(CLOCK_MONOTONIC) / 1000000;
}

/* Ask all to end; those that do not are killed. */
static void end_processes(void)
{
	static const struct timespec moment = { .tv_nsec = 20000000 };
	uint64_t end = milliseconds() + TERM_MS;
	pid_t pid;

	kill(-1, SIGTERM);
	/* A stopped one would not hear it. */
	kill(-1, SIGCONT);
	do {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return;
		nanosleep(&moment, NULL);
	} while (milliseconds() < end);
	log_warning("some programs did not end, and are killed");
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* In a process of its own: a disk that does not answer must not keep us for ever. */
static void sync_disks(void)
{
	struct pollfd pfd = { .events = POLLIN };
	pid_t pid = fork();

	if (!pid) {
		sync();
		_exit(0);
	}
	if (pid < 0) {
		sync();
		return;
	}
	pfd.fd = pidfd_open(pid, 0);
	if (pfd.fd < 0 || poll(&pfd, 1, SYNC_MS) != 1)
		log_warning("the disks did not take all that was written");
}

void init_end(enum agent_stop how, bool force)
{
	int cmd = how == AGENT_STOP_REBOOT ? RB_AUTOBOOT :
		  how == AGENT_STOP_HALT ? RB_HALT_SYSTEM : RB_POWER_OFF;

	if (init_is_us() && !force)
		end_processes();
	sync_disks();
	if (init_is_us())
		mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	reboot(cmd);
	log_error("the kernel does not shut down: %s", strerror(errno));
}
