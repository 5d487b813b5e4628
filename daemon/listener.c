// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A socket in place of a device, for one peer at a time.
 *
 * A peer that connects just after another has gone may be accepted before we have noticed
 * that, so it waits for the old link to be closed. One that comes while the other is there
 * is sent away.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "link.h"
#include "listener.h"
#include "log.h"
#include "stale.h"

/**
 * struct listener - the socket
 * @agent: who serves the peer
 * @fd: it
 * @next: a peer that waits for the last one's link to be closed, -1: none
 * @linked: there is a link
 * @stopping: it is to be freed when nothing is under way
 * @accept: waits for peers
 * @retry: waits until it can go on after a failure
 * @addr: where
 */
struct listener {
	struct agent *agent;
	int fd;
	int next;
	bool linked;
	bool stopping;
	struct loop_op accept;
	struct loop_op retry;
	struct sockaddr_un addr;
};

static ssize_t socket_receive(struct link *link, void *buf, size_t size)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t ret;

	/*
	 * A peer that has gone without having read all resets the connection: what it has said
	 * before is there all the same, behind that error.
	 */
	do {
		ret = recvmsg(link->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (ret < 0 && (errno == EINTR || errno == ECONNRESET));
	if (ret < 0)
		return -errno;
	if (!ret)
		return -EPIPE;
	if (msg.msg_flags & MSG_TRUNC) {
		agent_strange(link->agent, "a frame of more than %zu bytes was dropped", size);
		return 0;
	}
	return ret;
}

static int socket_send(struct link *link, const void *buf, size_t len)
{
	ssize_t ret;

	do {
		ret = send(link->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (ret < 0 && errno == EINTR);
	if (ret >= 0)
		return 0;
	/* The same, for a socket whose peer has too much in its queue. */
	return errno == ENOBUFS ? -EAGAIN : -errno;
}

static void listener_serve(struct listener *listener, int fd);

static void listener_put(struct listener *listener)
{
	if (listener->accept.busy || listener->retry.busy || listener->linked)
		return;
	if (listener->next >= 0)
		close(listener->next);
	close(listener->fd);
	free(listener);
}

static void socket_closed(struct link *link, int error)
{
	struct listener *listener = link->owner;
	int fd = listener->next;

	(void)error;
	listener->linked = false;
	listener->next = -1;
	if (listener->stopping) {
		if (fd >= 0)
			close(fd);
		listener_put(listener);
		return;
	}
	if (fd < 0)
		return;
	listener_serve(listener, fd);
	loop_accept(&listener->agent->loop, &listener->accept, listener->fd);
}

static const struct link_ops socket_ops = {
	.receive = socket_receive,
	.send = socket_send,
	.closed = socket_closed,
};

static void listener_serve(struct listener *listener, int fd)
{
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);
	int err;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	log_info("peer: process %d of user %u", cred.pid, cred.uid);
	err = link_open(listener->agent, &socket_ops, listener, fd, KRING_STREAM_FRAME_MAX, 0);
	if (err) {
		log_error("peer: %s", strerror(-err));
		close(fd);
		return;
	}
	listener->linked = true;
}

/* Whether the peer of our link has gone, and we have not been told yet. */
static bool listener_peer_gone(struct listener *listener)
{
	struct link *link = listener->agent->link;
	struct pollfd pfd = { .events = POLLRDHUP };

	if (!link)
		return true;
	pfd.fd = link->fd;
	return poll(&pfd, 1, 0) == 1;
}

static void listener_accepted(struct loop_op *op, int result)
{
	struct listener *listener = container_of(op, struct listener, accept);
	struct loop *loop = &listener->agent->loop;

	if (listener->stopping) {
		if (result >= 0)
			close(result);
		listener_put(listener);
		return;
	}
	if (result < 0) {
		/* Such as EMFILE: not at once again. */
		log_warning("accept: %s", strerror(-result));
		loop_timeout(loop, &listener->retry, 100000000);
		return;
	}
	if (listener->linked && listener_peer_gone(listener)) {
		listener->next = result;
		return;
	}
	if (listener->linked) {
		log_warning("peer: a second one was sent away");
		close(result);
	} else {
		listener_serve(listener, result);
	}
	loop_accept(loop, &listener->accept, listener->fd);
}

static void listener_retry(struct loop_op *op, int result)
{
	struct listener *listener = container_of(op, struct listener, retry);

	(void)result;
	if (listener->stopping)
		listener_put(listener);
	else
		loop_accept(&listener->agent->loop, &listener->accept, listener->fd);
}

static int listener_bind(struct listener *listener)
{
	const struct sockaddr *addr = (const struct sockaddr *)&listener->addr;
	mode_t mask = umask(0177);
	int err;

	err = bind(listener->fd, addr, sizeof(listener->addr)) ? -errno : 0;
	if (err == -EADDRINUSE && stale_socket(listener->addr.sun_path, SOCK_SEQPACKET) &&
	    !unlink(listener->addr.sun_path))
		err = bind(listener->fd, addr, sizeof(listener->addr)) ? -errno : 0;
	umask(mask);
	if (!err && listen(listener->fd, 16))
		err = -errno;
	return err;
}

int listener_new(struct listener **to, struct agent *agent, const char *path)
{
	struct listener *listener;
	int err;

	if (strlen(path) >= sizeof(listener->addr.sun_path)) {
		log_error("%s: too long for a socket's path", path);
		return -ENAMETOOLONG;
	}
	listener = calloc(1, sizeof(*listener));
	if (!listener) {
		log_error("out of memory");
		return -ENOMEM;
	}
	listener->agent = agent;
	listener->next = -1;
	listener->accept.done = listener_accepted;
	listener->retry.done = listener_retry;
	listener->addr.sun_family = AF_UNIX;
	strcpy(listener->addr.sun_path, path);
	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0) {
		err = -errno;
		goto free_listener;
	}
	err = listener_bind(listener);
	if (err)
		goto close_fd;
	loop_accept(&agent->loop, &listener->accept, listener->fd);
	*to = listener;
	return 0;

close_fd:
	close(listener->fd);
free_listener:
	log_error("%s: %s", path, strerror(-err));
	free(listener);
	return err;
}

void listener_free(struct listener *listener)
{
	struct loop *loop;

	if (!listener)
		return;
	loop = &listener->agent->loop;
	listener->stopping = true;
	unlink(listener->addr.sun_path);
	if (listener->linked && listener->agent->link)
		link_close(listener->agent->link, -ESHUTDOWN);
	if (!listener->accept.busy && !listener->retry.busy) {
		listener_put(listener);
		return;
	}
	loop_cancel(loop, &listener->accept);
	loop_cancel(loop, &listener->retry);
}
