/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where a connection of the host's may go to, as configured: unix:PATH or tcp:HOST:PORT. Names
 * are resolved once, when the configuration is read, so that nothing waits for a name server
 * while frames are to be moved.
 */
#ifndef KRING_TARGET_H
#define KRING_TARGET_H

#include <sys/socket.h>

#include <systemd/sd-event.h>

#include <kring.h>

#define TARGET_ADDRESSES	4

/**
 * struct target - an address, or several for one name
 * @text: as it was written
 * @count: addresses
 * @addresses: in the order in which they are tried
 * @lengths: theirs
 */
struct target {
	char *text;
	unsigned int count;
	struct sockaddr_storage addresses[TARGET_ADDRESSES];
	socklen_t lengths[TARGET_ADDRESSES];
};

/**
 * target_unix() - the address of a unix socket; "@" begins an abstract name
 *
 * Return: 0, -EINVAL: empty, -ENAMETOOLONG.
 */
int target_unix(struct target *target, const char *path, struct kring_error *err);

/** target_tcp() - resolve; @host may be a name or an address, without brackets */
int target_tcp(struct target *target, const char *host, const char *port,
	       struct kring_error *err);

/** target_parse() - "unix:PATH" or "tcp:HOST:PORT", with brackets around an IPv6 address */
int target_parse(struct target *target, const char *text, struct kring_error *err);

void target_clear(struct target *target);

/** split_host_port() - cut @text at its last colon, and brackets off; false: there is none */
bool split_host_port(char *text, char **host, char **port);

struct connector;

/**
 * typedef connector_fn - how it went
 * @fd: connected, non-blocking, the receiver's to close; or a negative errno
 * @owner: as given to connector_start()
 *
 * The connector is gone.
 */
typedef void (*connector_fn)(int fd, void *owner);

/**
 * connector_start() - connect, and say how it went out of the event loop
 * @connector: as long as @done was not called
 * @loop: event loop
 * @target: must stay
 * @done: whom to tell
 *
 * Return: 0 or a negative errno.
 */
int connector_start(struct connector **connector, sd_event *loop, const struct target *target,
		    connector_fn done, void *owner);

/** connector_stop() - never mind; NULL is allowed */
void connector_stop(struct connector *connector);

#endif /* KRING_TARGET_H */
