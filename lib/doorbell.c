// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The doorbell: a client of the unix socket that leads to the guest's console port.
 *
 * It carries no state. A byte is a kick, whatever its value and however many there are.
 * The socket may be missing, go and come back; each time it is connected to anew, with a
 * growing pause between two tries.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define BACKOFF_MIN_MS	10
#define BACKOFF_MAX_MS	1000

/* Of a guest that floods us: read so much and come back, the ring needs us too. */
#define DRAIN_BYTES	4096
#define DRAIN_READS	16

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static void doorbell_retry_later(struct kring_doorbell *bell)
{
	kring_timer_set(bell->timer, bell->backoff_ms, 0);
	bell->backoff_ms *= 2;
	if (bell->backoff_ms > BACKOFF_MAX_MS)
		bell->backoff_ms = BACKOFF_MAX_MS;
}

/* The pause starts small again, but not for who takes each connection to close it. */
static void doorbell_lost(struct kring_doorbell *bell)
{
	/* Not left to close(): a forked child may have the socket too. */
	epoll_ctl(bell->epoll, EPOLL_CTL_DEL, bell->sock, NULL);
	close(bell->sock);
	bell->sock = -1;
	if (bell->proven || now_ms() - bell->since_ms >= BACKOFF_MAX_MS)
		bell->backoff_ms = BACKOFF_MIN_MS;
	doorbell_retry_later(bell);
}

static int doorbell_try(struct kring_doorbell *bell)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = bell->sock_event };
	int sock, code;

	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	/* At once or not at all: EAGAIN is a full backlog, and not a connection under way. */
	if (connect(sock, (struct sockaddr *)&bell->addr, bell->addr_len) ||
	    epoll_ctl(bell->epoll, EPOLL_CTL_ADD, sock, &ev)) {
		code = -errno;
		close(sock);
		return code;
	}
	bell->sock = sock;
	bell->since_ms = now_ms();
	bell->proven = false;
	return 0;
}

/**
 * kring_doorbell_connect() - connect, unless it is already, or try again later
 * @bell: whose timer expired
 *
 * Return: whether it is connected now, and was not before. Then kick once, and look once.
 */
bool kring_doorbell_connect(struct kring_doorbell *bell)
{
	if (bell->sock >= 0)
		return false;
	if (!doorbell_try(bell))
		return true;
	doorbell_retry_later(bell);
	return false;
}

/**
 * kring_doorbell_kick() - send one byte
 * @bell: doorbell
 *
 * Return: 0: there is one unread byte at least, -ENOTCONN.
 */
int kring_doorbell_kick(struct kring_doorbell *bell)
{
	if (bell->sock < 0)
		return -ENOTCONN;
	/* EAGAIN: full of kicks that nobody has read, which do as well. */
	if (send(bell->sock, "k", 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
		return 0;
	doorbell_lost(bell);
	return -ENOTCONN;
}

/**
 * kring_doorbell_drain() - read what is there, or much of it
 * @bell: doorbell
 *
 * Return: whether there was a kick.
 */
bool kring_doorbell_drain(struct kring_doorbell *bell)
{
	char buf[DRAIN_BYTES];
	bool kicked = false;
	ssize_t n;
	int i;

	if (bell->sock < 0)
		return false;
	for (i = 0; i < DRAIN_READS; i++) {
		n = recv(bell->sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			doorbell_lost(bell);
			break;
		}
		kicked = true;
		bell->proven = true;
		if ((size_t)n < sizeof(buf))
			break;
	}
	return kicked;
}

/* What is not going to pass by waiting. */
static int doorbell_check(const struct kring_doorbell *bell, struct kring_error *err)
{
	const char *path = bell->addr.sun_path;
	struct stat st;

	if (stat(path, &st)) {
		if (errno == ENOENT)
			return 0;
		return kring_error_path(err, -errno, path, "doorbell: %s", strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return kring_error_path(err, -ENOTSOCK, path, "doorbell: not a socket");
	return 0;
}

/**
 * kring_doorbell_open() - set up the doorbell, and try to connect it
 * @bell: to fill; kring_doorbell_close() it on success
 * @path: socket; nobody needs to listen there yet
 * @epoll: where socket and timer are waited for
 * @sock_event: what @epoll reports when to kring_doorbell_drain()
 * @timer_event: what @epoll reports when to kring_doorbell_connect()
 * @err: filled on failure
 *
 * Return: 0: @bell->sock tells whether it is connected; or a negative errno.
 */
int kring_doorbell_open(struct kring_doorbell *bell, const char *path, int epoll,
			uint32_t sock_event, uint32_t timer_event, struct kring_error *err)
{
	size_t len = strlen(path);
	int code;

	memset(bell, 0, sizeof(*bell));
	bell->sock = -1;
	bell->epoll = epoll;
	bell->sock_event = sock_event;
	bell->backoff_ms = BACKOFF_MIN_MS;
	bell->addr.sun_family = AF_UNIX;
	if (!len)
		return kring_error(err, -EINVAL, "doorbell: the path is empty");
	if (len >= sizeof(bell->addr.sun_path))
		return kring_error_path(err, -ENAMETOOLONG, path,
					"doorbell: the path of a unix socket is at most %zu bytes, this is %zu",
					sizeof(bell->addr.sun_path) - 1, len);
	memcpy(bell->addr.sun_path, path, len + 1);
	bell->addr_len = offsetof(struct sockaddr_un, sun_path) + len + 1;
	code = doorbell_check(bell, err);
	if (code)
		return code;

	bell->timer = kring_timer_open(epoll, timer_event);
	if (bell->timer < 0)
		return kring_error(err, bell->timer, "timerfd: %s", strerror(-bell->timer));

	code = doorbell_try(bell);
	if (code == -EACCES || code == -EPERM || code == -EPROTOTYPE) {
		close(bell->timer);
		return kring_error_path(err, code, path, "doorbell: %s", strerror(-code));
	}
	if (code)
		doorbell_retry_later(bell);
	return 0;
}

/** kring_doorbell_close() - disconnect for good */
void kring_doorbell_close(struct kring_doorbell *bell)
{
	if (bell->sock >= 0) {
		epoll_ctl(bell->epoll, EPOLL_CTL_DEL, bell->sock, NULL);
		close(bell->sock);
	}
	epoll_ctl(bell->epoll, EPOLL_CTL_DEL, bell->timer, NULL);
	close(bell->timer);
}
