// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The protocols of sd_notify(3) and sd_listen_fds(3), which promise to stay as they are.
 *
 * By hand: libsystemd would do it at 1.3 MiB of resident memory, in a daemon of less.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "systemd.h"

/* Where descriptors that are passed begin, and how many there may be. */
#define LISTEN_FDS_START	3
#define LISTEN_FDS_MAX		4096

/* In one message. */
#define STORE_FDS_MAX	8

/* For systemd to take a message that must not be lost. */
#define STORE_SECONDS	5

static char *notify_socket;
static char *listen_names;
static int listen_count;
static bool stores;

/* @name's value, no longer in the environment; the caller frees it. */
static char *take_variable(const char *name)
{
	const char *value = getenv(name);
	char *copy = value ? strdup(value) : NULL;

	unsetenv(name);
	return copy;
}

void systemd_init(void)
{
	char *pid = take_variable("LISTEN_PID");
	char *fds = take_variable("LISTEN_FDS");
	char *store = take_variable("FDSTORE");
	int fd;

	notify_socket = take_variable("NOTIFY_SOCKET");
	listen_names = take_variable("LISTEN_FDNAMES");
	if (pid && fds && atol(pid) == getpid())
		listen_count = atoi(fds);
	if (listen_count < 0 || listen_count > LISTEN_FDS_MAX)
		listen_count = 0;
	for (fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + listen_count; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	/* Before version 254 it does not say how many it would keep. */
	stores = notify_socket && (!store || atoi(store) > 0);
	free(store);
	free(fds);
	free(pid);
}

void systemd_fini(void)
{
	free(notify_socket);
	notify_socket = NULL;
	free(listen_names);
	listen_names = NULL;
	stores = false;
}

/* Sends it, if somebody listens. 0 or a negative errno. */
static int send_message(const struct msghdr *message, int flags)
{
	struct timeval limit = { .tv_sec = STORE_SECONDS };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct msghdr addressed = *message;
	int fd, code = 0;

	if (!notify_socket || strlen(notify_socket) >= sizeof(addr.sun_path))
		return -ENOTCONN;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	memcpy(addr.sun_path, notify_socket, strlen(notify_socket));
	addressed.msg_name = &addr;
	addressed.msg_namelen = offsetof(struct sockaddr_un, sun_path) + strlen(notify_socket);
	/* An abstract one is written with @. */
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	if (sendmsg(fd, &addressed, MSG_NOSIGNAL | flags) < 0)
		code = -errno;
	close(fd);
	if (code)
		log_debug("notify systemd: %s", strerror(-code));
	return code;
}

void systemd_notify(const char *fmt, ...)
{
	char text[512];
	struct iovec iov = { .iov_base = text };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	iov.iov_len = len < (int)sizeof(text) ? len : (int)sizeof(text) - 1;
	send_message(&message, MSG_DONTWAIT);
}

bool systemd_stores(void)
{
	return stores;
}

int systemd_store(const char *name, bool poll, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(STORE_FDS_MAX * sizeof(int))];
	} control = { 0 };
	char text[128];
	struct iovec iov = { .iov_base = text };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	if (count > STORE_FDS_MAX)
		return -EINVAL;
	iov.iov_len = snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s%s", name,
			       poll ? "" : "\nFDPOLL=0");
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	return send_message(&message, 0);
}

void systemd_unstore(const char *name)
{
	char text[128];
	struct iovec iov = { .iov_base = text };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	iov.iov_len = snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	send_message(&message, 0);
}

static int take(const char *name, unsigned long *number)
{
	const char *at = listen_names;
	size_t wanted = strlen(name), len;
	int i;

	for (i = 0; at && i < listen_count; i++) {
		len = strcspn(at, ":");
		if ((number ? len > wanted : len == wanted) && !memcmp(at, name, wanted)) {
			if (number)
				*number = strtoul(at + wanted, NULL, 10);
			memset((char *)at, '-', len);
			return LISTEN_FDS_START + i;
		}
		at = at[len] ? at + len + 1 : NULL;
	}
	return -ENOENT;
}

int systemd_take_fd(const char *name)
{
	return take(name, NULL);
}

int systemd_take_numbered_fd(const char *prefix, unsigned long *number)
{
	return take(prefix, number);
}
