// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /run/kring/host.sock: the listener. caller.c has what happens with a connection.
 *
 * Whoever may connect can talk to any service that the host has configured for this guest.
 * So that is root, and the members of a group "kring" where there is one: mode 0660, or else
 * 0600. Where systemd passes the socket, its unit says who.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "caller.h"
#include "host_socket.h"
#include "log.h"
#include "stale.h"
#include "systemd.h"

#define GROUP		"kring"
#define GROUPS		"/etc/group"

/* In a systemd unit: FileDescriptorName=host */
#define SOCKET_NAME	"host"

#define BACKLOG		128

/* What a process that has no descriptors left waits before it tries again. */
#define PAUSE		100000000ull

/**
 * struct host_socket - the listener
 * @op: accepts, or waits
 * @agent: NULL: it is over, and so are we when @op is done
 * @loop: event loop
 * @fd: socket
 * @path: of its file, NULL: it is systemd's
 * @pausing: @op waits
 */
struct host_socket {
	struct loop_op op;
	struct agent *agent;
	struct loop *loop;
	int fd;
	char *path;
	bool pausing;
};

static void host_socket_free(struct host_socket *s)
{
	if (s->op.busy)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s);
}

static void accept_next(struct host_socket *s)
{
	s->pausing = false;
	loop_accept(s->loop, &s->op, s->fd);
}

static void accept_done(struct loop_op *op, int result)
{
	struct host_socket *s;

	s = (struct host_socket *)((char *)op - offsetof(struct host_socket, op));
	if (!s->agent) {
		if (!s->pausing && result >= 0)
			close(result);
		host_socket_free(s);
		return;
	}
	if (s->pausing) {
		accept_next(s);
		return;
	}
	if (result >= 0 && caller_start(s->agent, result))
		close(result);
	switch (result) {
	case -EBADF:
	case -EINVAL:
	case -ENOTSOCK:
	case -EOPNOTSUPP:
		/* What was passed is no listening socket. */
		log_error("%s: accept: %s", s->path ? s->path : SOCKET_NAME, strerror(-result));
		return;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		s->pausing = true;
		loop_timeout(s->loop, &s->op, PAUSE);
		return;
	}
	/* All else is about a connection that has gone again. */
	accept_next(s);
}

/* Not getgrnam(3): it may ask a server, and a static program cannot have it. */
static bool find_group(gid_t *gid)
{
	FILE *file = fopen(GROUPS, "re");
	struct group *group;
	bool found = false;

	*gid = -1;
	if (!file)
		return false;
	while (!found && (group = fgetgrent(file))) {
		found = !strcmp(group->gr_name, GROUP);
		if (found)
			*gid = group->gr_gid;
	}
	fclose(file);
	return found;
}

static void give_to_group(const char *path)
{
	gid_t gid;

	if (!find_group(&gid))
		return;
	if (lchown(path, -1, gid) || chmod(path, 0660))
		log_warning("%s: for group %s: %s", path, GROUP, strerror(errno));
}

static int make_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int code;

	if (!slash || slash == path)
		return 0;
	dir = strndup(path, slash - path);
	if (!dir)
		return -ENOMEM;
	code = mkdir(dir, 0755) && errno != EEXIST ? -errno : 0;
	free(dir);
	return code;
}

static int listen_at(struct host_socket *s, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int code;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	code = make_dir(path);
	if (code)
		return code;
	if (stale_socket(path, SOCK_STREAM) && unlink(path))
		return -errno;

	/* It may block: the ring would not wait otherwise. */
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	mask = umask(0177);
	code = bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
	umask(mask);
	if (code)
		return code;
	s->path = strdup(path);
	give_to_group(path);
	if (!s->path || listen(s->fd, BACKLOG)) {
		code = s->path ? -errno : -ENOMEM;
		unlink(path);
	}
	return code;
}

int host_socket_init(struct agent *agent)
{
	const char *path = agent->config.host_socket;
	struct host_socket *s;
	int code = 0;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->op.done = accept_done;
	s->agent = agent;
	s->loop = &agent->loop;
	s->fd = systemd_take_fd(SOCKET_NAME);
	if (s->fd >= 0)
		fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) & ~O_NONBLOCK);
	else if (path && *path)
		code = listen_at(s, path);
	if (s->fd < 0 || code) {
		if (code)
			log_error("%s: %s", path, strerror(-code));
		host_socket_free(s);
		return code;
	}
	agent->host_socket = s;
	accept_next(s);
	return 0;
}

void host_socket_fini(struct agent *agent)
{
	struct host_socket *s = agent->host_socket;

	if (!s)
		return;
	agent->host_socket = NULL;
	if (s->path)
		unlink(s->path);
	s->agent = NULL;
	loop_cancel(s->loop, &s->op);
	host_socket_free(s);
}
