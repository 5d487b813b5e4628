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
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "systemd.h"

/* Where sockets that are passed begin. */
#define LISTEN_FDS_START	3

static char *notify_socket;
static char *listen_names;
static int listen_count;

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
	int fd;

	notify_socket = take_variable("NOTIFY_SOCKET");
	listen_names = take_variable("LISTEN_FDNAMES");
	if (pid && fds && atol(pid) == getpid())
		listen_count = atoi(fds);
	if (listen_count < 0 || listen_count > 64)
		listen_count = 0;
	for (fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + listen_count; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	free(fds);
	free(pid);
}

void systemd_fini(void)
{
	free(notify_socket);
	notify_socket = NULL;
	free(listen_names);
	listen_names = NULL;
}

void systemd_notify(const char *fmt, ...)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t addr_len;
	char text[512];
	va_list args;
	int fd, len;

	if (!notify_socket || strlen(notify_socket) >= sizeof(addr.sun_path))
		return;
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	memcpy(addr.sun_path, notify_socket, strlen(notify_socket));
	addr_len = offsetof(struct sockaddr_un, sun_path) + strlen(notify_socket);
	/* An abstract one is written with @. */
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	if (sendto(fd, text, len, MSG_NOSIGNAL, (struct sockaddr *)&addr, addr_len) < 0)
		log_debug("notify systemd: %s", strerror(errno));
	close(fd);
}

int systemd_take_socket(const char *name)
{
	const char *at = listen_names;
	size_t len;
	int i;

	for (i = 0; at && i < listen_count; i++) {
		len = strcspn(at, ":");
		if (len == strlen(name) && !memcmp(at, name, len)) {
			/* It is given away once. */
			memset((char *)at, '-', len);
			return LISTEN_FDS_START + i;
		}
		at = at[len] ? at + len + 1 : NULL;
	}
	return -ENOENT;
}
