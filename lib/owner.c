// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The one owner of a region's host end: who holds the lock of its file.
 *
 * flock() and not fcntl(): the lock belongs to the open file, so it also keeps two hosts
 * of one process apart, and it goes when its holder dies, however it dies. A child that
 * was forked and keeps the open file keeps the lock too, until the parent detaches.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "internal.h"

/**
 * kring_owner_find() - find the process that owns the host end
 * @fd: of the region's file, not locked by this open file
 *
 * Return: the process; 0: nobody; -1: somebody, or it cannot be told. An owner in a pid
 * namespace that is not visible from here looks like nobody.
 */
pid_t kring_owner_find(int fd)
{
	unsigned int dev_major, dev_minor;
	unsigned long long ino;
	size_t size = 0;
	char *line = NULL;
	pid_t owner = 0;
	struct stat st;
	FILE *locks;
	int pid;

	locks = fopen("/proc/locks", "re");
	if (!locks)
		return -1;
	if (fstat(fd, &st)) {
		owner = -1;
		goto close_locks;
	}

	/* Who still waits for a lock has "->" before the FLOCK, and does not match. */
	while (!owner && getline(&line, &size, locks) > 0) {
		if (sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", &pid, &dev_major,
			   &dev_minor, &ino) != 4)
			continue;
		if (dev_major != major(st.st_dev) || dev_minor != minor(st.st_dev) ||
		    ino != st.st_ino)
			continue;
		/* Who locked it may be gone, and a child of it have the open file. */
		owner = pid > 0 && (!kill(pid, 0) || errno == EPERM) ? pid : -1;
	}
	free(line);

close_locks:
	fclose(locks);
	return owner;
}

/* A process chooses its own name: show nothing of it that a terminal would obey. */
static int owner_comm(pid_t pid, char *comm, size_t size)
{
	char path[64];
	FILE *file;
	char *c;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	c = fgets(comm, size, file);
	fclose(file);
	if (!c)
		return -ESRCH;

	comm[strcspn(comm, "\n")] = '\0';
	for (; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return 0;
}

/**
 * kring_owner_lock() - own the host end, or keep others from owning it
 * @fd: of the region's file
 * @how: LOCK_EX to own it, LOCK_SH to keep others off together with whoever does so, too
 * @path: its name, for @err
 * @err: filled on failure
 *
 * Return: 0, -EBUSY: somebody else owns it, or what the file system says.
 */
int kring_owner_lock(int fd, int how, const char *path, struct kring_error *err)
{
	char comm[32];
	pid_t owner;

	if (!flock(fd, how | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return kring_error_path(err, -errno, path, "flock: %s", strerror(errno));

	owner = kring_owner_find(fd);
	if (owner > 0 && !owner_comm(owner, comm, sizeof(comm)))
		return kring_error_path(err, -EBUSY, path, "its host end is owned by %s (pid %d)",
					comm, (int)owner);
	return kring_error_path(err, -EBUSY, path, "its host end is owned by another process");
}

/** kring_owner_unlock() - let go, whoever else may have the open file */
void kring_owner_unlock(int fd)
{
	flock(fd, LOCK_UN);
}
