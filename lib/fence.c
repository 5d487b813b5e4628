// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The fence: a host that somebody else has taken over from must not publish anything more.
 *
 * Two things tell it. The generation in the header is another than the one that this host
 * has made: another host has attached to the same file. Or the path leads to another file:
 * a saved region was restored there, for another VM and another host.
 *
 * The first is one load from a cache line that hardly ever changes, so it is looked at
 * whenever something is about to be written. The second is a system call, so it is looked at
 * once in a while, and when the doorbell is connected anew. A path that leads nowhere fences
 * nobody: who unlinks a region that is in use has given it to no other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* Of the path, so that all of the text is seen where it is shown. */
#define PATH_SHOWN	112

static uint64_t now_ms(void)
{
	struct timespec now;

	/* No system call, and right to some milliseconds. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* The working directory of later is not that of now. */
static char *path_absolute(const char *path)
{
	char *dir, *whole;

	if (path[0] == '/')
		return strdup(path);
	dir = getcwd(NULL, 0);
	if (!dir)
		return NULL;
	if (asprintf(&whole, "%s/%s", dir, path) < 0)
		whole = NULL;
	free(dir);
	return whole;
}

/**
 * kring_fence_look() - whether the path still leads to this host's region
 * @fence: fence
 * @period_ms: look only when that was done longer ago than this
 *
 * Return: whether the host is fenced, for this reason or for another.
 */
bool kring_fence_look(struct kring_fence *fence, unsigned int period_ms)
{
	uint64_t now = now_ms();
	const char *path = fence->path;
	size_t len = strlen(path);
	struct stat st;

	if (fence->closed || now - fence->looked_ms < period_ms)
		return fence->closed;
	fence->looked_ms = now;
	if (stat(path, &st) || (st.st_dev == fence->dev && st.st_ino == fence->ino))
		return false;
	snprintf(fence->why, sizeof(fence->why), "the region at %s%s is another file now",
		 len > PATH_SHOWN ? "..." : "",
		 len > PATH_SHOWN ? path + len - (PATH_SHOWN - 3) : path);
	fence->closed = true;
	return true;
}

/** kring_fenced() - whether the region is no longer its host's, as far as its memory tells */
bool kring_fenced(struct kring_fence *fence)
{
	uint64_t generation;

	if (fence->closed || !fence->shared)
		return fence->closed;
	generation = le64_to_cpu(READ_ONCE(*fence->shared));
	if (generation == fence->generation)
		return false;
	snprintf(fence->why, sizeof(fence->why),
		 "another host has taken over: generation %llu", (unsigned long long)generation);
	fence->closed = true;
	return true;
}

/**
 * kring_fence_open() - remember which file it is
 * @fence: to fill; kring_fence_close() it on success
 * @path: of the region
 * @fd: its file, open and locked
 * @err: filled on failure
 *
 * Return: 0, -ESTALE: @path leads to another file since @fd was opened, or what the file
 * system says.
 */
int kring_fence_open(struct kring_fence *fence, const char *path, int fd,
		     struct kring_error *err)
{
	struct stat st;

	memset(fence, 0, sizeof(*fence));
	if (fstat(fd, &st))
		return kring_error_path(err, -errno, path, "%s", strerror(errno));
	fence->dev = st.st_dev;
	fence->ino = st.st_ino;
	fence->path = path_absolute(path);
	if (!fence->path)
		return kring_error_path(err, -errno, path, "%s", strerror(errno));
	if (kring_fence_look(fence, 0)) {
		free(fence->path);
		return kring_error(err, -ESTALE, "%s", fence->why);
	}
	return 0;
}

/**
 * kring_fence_own() - the region is this host's from now on
 * @fence: open
 * @shared: the generation in the header, NULL: the format has none
 * @generation: that this host has stored there
 */
void kring_fence_own(struct kring_fence *fence, const __le64 *shared, uint64_t generation)
{
	fence->shared = shared;
	fence->generation = generation;
}

/** kring_fence_close() - forget it */
void kring_fence_close(struct kring_fence *fence)
{
	free(fence->path);
}
