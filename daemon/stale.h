/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sockets that somebody has left behind who was killed.
 */
#ifndef KRINGD_STALE_H
#define KRINGD_STALE_H

#include <stdbool.h>

/**
 * stale_socket() - whether @path is a socket that nobody listens on any more
 * @path: of a unix socket
 * @type: SOCK_*
 *
 * Return: true: it may be removed. False also for all that is no socket.
 */
bool stale_socket(const char *path, int type);

#endif /* KRINGD_STALE_H */
