// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Sockets that somebody has left behind who was killed.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "stale.h"

/*
 * The kernel lets go of the files of an io_uring some time after the process that had it was
 * killed.
 */
#define PATIENCE	100
#define MOMENT_NS	5000000

static bool refuses(const struct sockaddr_un *sa, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool refused;

	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

bool stale_socket(const char *path, int type)
{
	static const struct timespec moment = { .tv_nsec = MOMENT_NS };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	unsigned int left = PATIENCE;
	struct stat st;

	/* A file is refused as well, and is not ours to remove. */
	if (strlen(path) >= sizeof(sa.sun_path) || lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	strcpy(sa.sun_path, path);
	while (!refuses(&sa, type)) {
		if (!left--)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}
