/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Addresses that the host sends as text.
 */
#ifndef KRINGD_ADDRESS_H
#define KRINGD_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A name may have several. */
#define ADDRESSES_MAX	8

#define ADDRESS_TEXT	160

/** struct address - one socket address */
struct address {
	socklen_t len;
	struct sockaddr_storage sa;
};

/** struct addresses - those that a name stands for, the best one first */
struct addresses {
	unsigned int count;
	struct address list[ADDRESSES_MAX];
};

/**
 * addresses_tcp() - HOST:PORT or [V6]:PORT
 * @addresses: filled in
 * @text: what was sent
 * @passive: to listen on: [HOST:]PORT, without HOST it is 127.0.0.1, and PORT may be 0
 *
 * Return: 0; -EINVAL: not of that form; -ENOENT: HOST is no number, not localhost and not in
 * /etc/hosts: names that only a server knows are not looked up, as that may take long and
 * nothing else could be done meanwhile; -E2BIG.
 */
int addresses_tcp(struct addresses *addresses, const char *text, bool passive);

/** addresses_unix() - a path, or "@" and an abstract name. -EINVAL, -ENAMETOOLONG */
int addresses_unix(struct addresses *addresses, const void *path, size_t len);

/**
 * addresses_vsock() - a service of this machine, as a host with hybrid vsock asks for it
 *
 * Programs made for that listen on AF_VSOCK. In a guest without that module they cannot,
 * and listen at the unix socket /run/kring/vsock/PORT or at 127.0.0.1:PORT instead.
 */
void addresses_vsock(struct addresses *addresses, uint32_t port);

/** address_text() - an address for people, such as 127.0.0.1:80 */
const char *address_text(const struct address *address, char buf[ADDRESS_TEXT]);

#endif /* KRINGD_ADDRESS_H */
