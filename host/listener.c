// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A listening socket in the event loop.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listener.h"
#include "target.h"

/* With no file descriptor left, or no memory, try again so much later. */
#define PAUSE_USEC	100000

/* One turn takes so many. */
#define BATCH		64

/**
 * struct listener - a listening socket
 * @fd: it
 * @io: its source
 * @pause: begins to listen again
 * @address: for a person
 * @path: to be removed, NULL: nothing
 * @made: the file at @path, to know it again
 * @accepted: whom to tell
 * @owner: its
 */
struct listener {
	int fd;
	sd_event_source *io;
	sd_event_source *pause;
	char *address;
	char *path;
	struct stat made;
	listener_fn accepted;
	void *owner;
};

static int fail(struct kring_error *err, int code, const char *where, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%.112s: %s", where, why);
	return code;
}

static int listener_on_pause(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct listener *l = userdata;

	(void)source;
	(void)usec;
	sd_event_source_set_enabled(l->io, SD_EVENT_ON);
	return 0;
}

static int listener_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct listener *l = userdata;
	int i, conn;

	(void)revents;
	for (i = 0; i < BATCH; i++) {
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (conn >= 0) {
			l->accepted(conn, l->owner);
			continue;
		}
		if (errno == EAGAIN)
			break;
		/* Others are the fault of the one who connected. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			sd_event_source_set_enabled(source, SD_EVENT_OFF);
			sd_event_source_set_time_relative(l->pause, PAUSE_USEC);
			sd_event_source_set_enabled(l->pause, SD_EVENT_ONESHOT);
			break;
		}
	}
	return 0;
}

/* From a listening socket on. */
static int listener_start(struct listener *l, sd_event *loop, struct kring_error *err)
{
	int code;

	code = sd_event_add_io(loop, &l->io, l->fd, EPOLLIN, listener_on_io, l);
	if (code >= 0)
		code = sd_event_add_time_relative(loop, &l->pause, CLOCK_MONOTONIC, 0, 0,
						  listener_on_pause, l);
	return code < 0 ? fail(err, code, l->address, strerror(-code)) : 0;
}

static struct listener *listener_new(listener_fn accepted, void *owner, struct kring_error *err)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l) {
		fail(err, -ENOMEM, "listening", strerror(ENOMEM));
		return NULL;
	}
	l->fd = -1;
	l->accepted = accepted;
	l->owner = owner;
	return l;
}

/* @stale: there is a socket that its owner has not removed, as it was killed. */
static int check_stale(const struct target *at, int type, const char *path, bool *stale,
		       struct kring_error *err)
{
	struct stat st;
	int fd, code;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : fail(err, -errno, path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fail(err, -EADDRINUSE, path, "it exists, and is not a socket");
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(err, -errno, path, strerror(errno));
	code = connect(fd, (const struct sockaddr *)&at->addresses[0], at->lengths[0]) ?
	       errno : 0;
	close(fd);
	/* With a full backlog, or of another type, somebody is there too. */
	if (code != ECONNREFUSED)
		return fail(err, -EADDRINUSE, path, "another process answers there");
	*stale = true;
	return 0;
}

static int bind_mode(int fd, const struct target *at, mode_t mask)
{
	int code;

	mask = umask(mask);
	code = bind(fd, (const struct sockaddr *)&at->addresses[0], at->lengths[0]) ? -errno : 0;
	umask(mask);
	return code;
}

/* Only a stale one is replaced: somebody else may have been quicker. */
static int take_name(const char *first, const char *path, bool stale)
{
	if (stale)
		return rename(first, path) ? -errno : 0;
	if (!link(first, path)) {
		unlink(first);
		return 0;
	}
	/* Some file systems have no links. */
	if (errno == EEXIST || rename(first, path))
		return -errno;
	return 0;
}

/*
 * Nobody else's from the first moment on, and listening: it gets its name last, so that who
 * waits for it to be there can connect.
 */
static int bind_path(struct listener *l, const char *path, bool stale, struct kring_error *err)
{
	struct target at;
	char *first;
	int code;

	if (asprintf(&first, "%s.%d", path, (int)getpid()) < 0)
		return fail(err, -ENOMEM, path, strerror(ENOMEM));
	code = target_unix(&at, first, err);
	if (code)
		goto free_first;
	code = bind_mode(l->fd, &at, 0177);
	target_clear(&at);
	if (code) {
		fail(err, code, path, strerror(-code));
		goto free_first;
	}
	l->path = strdup(path);
	if (!l->path)
		code = -ENOMEM;
	else if (lstat(first, &l->made) || listen(l->fd, SOMAXCONN))
		code = -errno;
	else
		code = take_name(first, path, stale);
	if (code) {
		fail(err, code, path, strerror(-code));
		unlink(first);
	}
free_first:
	free(first);
	return code;
}

static int bind_unix(struct listener *l, const struct target *at, int type, const char *path,
		     bool stale, struct kring_error *err)
{
	int code;

	l->fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return fail(err, -errno, path, strerror(errno));
	if (*path != '@')
		return bind_path(l, path, stale, err);
	code = bind_mode(l->fd, at, 0177);
	if (!code && listen(l->fd, SOMAXCONN))
		code = -errno;
	return code ? fail(err, code, path, strerror(-code)) : 0;
}

int listener_unix(struct listener **listener, sd_event *loop, int type, const char *path,
		  listener_fn accepted, void *owner, struct kring_error *err)
{
	struct listener *l = listener_new(accepted, owner, err);
	struct target at;
	bool stale = false;
	int code;

	if (!l)
		return -ENOMEM;
	code = target_unix(&at, path, err);
	if (code)
		goto free_listener;
	l->address = at.text;
	code = *path == '@' ? 0 : check_stale(&at, type, path, &stale, err);
	if (!code)
		code = bind_unix(l, &at, type, path, stale, err);
	if (!code)
		code = listener_start(l, loop, err);
	if (code)
		goto free_listener;
	*listener = l;
	return 0;

free_listener:
	listener_close(l);
	return code;
}

static int bind_tcp(struct listener *l, const struct sockaddr *addr, socklen_t len)
{
	int one = 1;

	l->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(l->fd, addr, len) && !listen(l->fd, SOMAXCONN))
		return 0;
	one = -errno;
	close(l->fd);
	l->fd = -1;
	return one;
}

/* With the port that it was given. */
static char *tcp_address(int fd)
{
	char host[NI_MAXHOST], port[NI_MAXSERV], *text;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return NULL;
	if (asprintf(&text, addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port) < 0)
		return NULL;
	return text;
}

int listener_tcp(struct listener **listener, sd_event *loop, const char *host, const char *port,
		 listener_fn accepted, void *owner, struct kring_error *err)
{
	struct listener *l = listener_new(accepted, owner, err);
	struct target at;
	unsigned int i;
	int code;

	if (!l)
		return -ENOMEM;
	code = target_tcp(&at, host, port, err);
	if (code)
		goto free_listener;
	code = -EADDRNOTAVAIL;
	for (i = 0; i < at.count && l->fd < 0; i++)
		code = bind_tcp(l, (struct sockaddr *)&at.addresses[i], at.lengths[i]);
	if (code)
		fail(err, code, at.text, strerror(-code));
	target_clear(&at);
	if (code)
		goto free_listener;
	l->address = tcp_address(l->fd);
	if (!l->address)
		code = fail(err, -ENOMEM, host, strerror(ENOMEM));
	else
		code = listener_start(l, loop, err);
	if (code)
		goto free_listener;
	*listener = l;
	return 0;

free_listener:
	listener_close(l);
	return code;
}

const char *listener_address(const struct listener *listener)
{
	return listener->address;
}

static void remove_path(const struct listener *l)
{
	struct stat st;

	if (!lstat(l->path, &st) && st.st_dev == l->made.st_dev && st.st_ino == l->made.st_ino)
		unlink(l->path);
}

void listener_close(struct listener *listener)
{
	if (!listener)
		return;
	sd_event_source_disable_unref(listener->io);
	sd_event_source_disable_unref(listener->pause);
	if (listener->path)
		remove_path(listener);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener->path);
	free(listener->address);
	free(listener);
}
