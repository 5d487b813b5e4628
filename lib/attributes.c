// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Mode, owner and time of files.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "attributes.h"

#define SECOND	1000000000LL

struct timespec kring_timespec(int64_t nanoseconds)
{
	struct timespec time = {
		.tv_sec = nanoseconds / SECOND,
		.tv_nsec = nanoseconds % SECOND,
	};

	/* Before 1970 too, the nanoseconds count upwards. */
	if (time.tv_nsec < 0) {
		time.tv_nsec += SECOND;
		time.tv_sec--;
	}
	return time;
}

int64_t kring_nanoseconds(const struct timespec *time)
{
	int64_t nanoseconds;

	/* A file of the year 3000 is possible; one whose time cannot be told has the last. */
	if (__builtin_mul_overflow((int64_t)time->tv_sec, SECOND, &nanoseconds) ||
	    __builtin_add_overflow(nanoseconds, (int64_t)time->tv_nsec, &nanoseconds))
		return time->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return nanoseconds;
}

/* -1, which is not a user, means to leave it. */
static int set_owner(int fd, const char *name, const Kring__Attributes *a)
{
	uid_t uid = -1;
	gid_t gid = -1;

	if (a->uid) {
		if (a->uid->value < 0 || a->uid->value >= UINT32_MAX)
			return -EINVAL;
		uid = a->uid->value;
	}
	if (a->gid) {
		if (a->gid->value < 0 || a->gid->value >= UINT32_MAX)
			return -EINVAL;
		gid = a->gid->value;
	}
	if (fchownat(fd, name ? name : "", uid, gid,
		     name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH))
		return -errno;
	return 0;
}

static int set_mode(int fd, const char *name, const Kring__Attributes *a)
{
	int64_t mode = a->mode->value;

	if (mode < 0 || mode > 07777)
		return -EINVAL;
	if (name ? fchmodat(fd, name, mode, AT_SYMLINK_NOFOLLOW) : fchmod(fd, mode))
		return -errno;
	return 0;
}

static int set_time(int fd, const char *name, const Kring__Attributes *a)
{
	struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		kring_timespec(a->mtime->value),
	};

	if (name ? utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) : futimens(fd, times))
		return -errno;
	return 0;
}

int kring_set_attributes(int fd, const char *name, const Kring__Attributes *attributes,
			 const char **what)
{
	int code;

	if (!attributes)
		return 0;

	/* The owner first: changing it takes setuid and setgid away. */
	*what = "owner";
	if (attributes->uid || attributes->gid) {
		code = set_owner(fd, name, attributes);
		if (code)
			return code;
	}
	*what = "mode";
	if (attributes->mode) {
		code = set_mode(fd, name, attributes);
		if (code)
			return code;
	}
	*what = "time";
	return attributes->mtime ? set_time(fd, name, attributes) : 0;
}
