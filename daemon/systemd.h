/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What systemd is told, and what it hands over: sd_notify(3) and sd_listen_fds(3). Their
 * protocols are a datagram and three variables; libsystemd would take more memory than all
 * the rest of kringd.
 */
#ifndef KRINGD_SYSTEMD_H
#define KRINGD_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>

/* Take all from the environment, so that no program that is started finds it there. */
void systemd_init(void);
void systemd_fini(void);

/* Lines as of sd_notify(3), such as READY=1. Nothing happens where nobody listens. */
void systemd_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A descriptor that was passed, by its FileDescriptorName=, or by the name under which an
 * agent before has stored it; the caller's from now on. Each is given away once. -ENOENT
 */
int systemd_take_fd(const char *name);

/* The same for one whose name is @prefix and a number. */
int systemd_take_numbered_fd(const char *prefix, unsigned long *number);

/* Whether it is worth trying to store any. */
bool systemd_stores(void);

/**
 * systemd_store() - have descriptors kept for the next agent (FDSTORE=1)
 * @name: what it will know them by
 * @poll: drop each when it hangs up
 * @fds: they stay open here, too
 * @count: how many
 *
 * Return: 0 or a negative errno. Whether systemd really keeps them it does not say.
 */
int systemd_store(const char *name, bool poll, const int *fds, size_t count);

/* They need not be kept any more. */
void systemd_unstore(const char *name);

#endif /* KRINGD_SYSTEMD_H */
