/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What systemd is told, and what it hands over: sd_notify(3) and sd_listen_fds(3). Their
 * protocols are a datagram and three variables; libsystemd would take more memory than all
 * the rest of kringd.
 */
#ifndef KRINGD_SYSTEMD_H
#define KRINGD_SYSTEMD_H

/* Take all from the environment, so that no program that is started finds it there. */
void systemd_init(void);
void systemd_fini(void);

/* Lines as of sd_notify(3), such as READY=1. Nothing happens where nobody listens. */
void systemd_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A socket that was passed, by its FileDescriptorName=; the caller's from now on. -ENOENT */
int systemd_take_socket(const char *name);

#endif /* KRINGD_SYSTEMD_H */
