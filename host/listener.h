/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A listening socket in the event loop.
 */
#ifndef KRING_LISTENER_H
#define KRING_LISTENER_H

#include <systemd/sd-event.h>

#include <kring.h>

struct listener;

/**
 * typedef listener_fn - somebody has connected
 * @fd: non-blocking, the receiver's to close
 * @owner: as given
 */
typedef void (*listener_fn)(int fd, void *owner);

/**
 * listener_unix() - listen on a unix socket, mode 0600
 * @listener: the new one
 * @loop: event loop
 * @type: SOCK_STREAM or SOCK_SEQPACKET
 * @path: a socket there that nobody answers on is replaced. "@" begins an abstract name
 * @accepted: whom to tell
 * @owner: its
 * @err: filled on failure
 *
 * Return: 0, -EADDRINUSE: another process answers there, or something else is there; or
 * another negative errno.
 */
int listener_unix(struct listener **listener, sd_event *loop, int type, const char *path,
		  listener_fn accepted, void *owner, struct kring_error *err);

/** listener_tcp() - listen on the first address of @host that can be had; @port 0: any */
int listener_tcp(struct listener **listener, sd_event *loop, const char *host, const char *port,
		 listener_fn accepted, void *owner, struct kring_error *err);

/** listener_address() - where it really listens */
const char *listener_address(const struct listener *listener);

/** listener_close() - and remove the socket that listener_unix() has made; NULL is allowed */
void listener_close(struct listener *listener);

#endif /* KRING_LISTENER_H */
