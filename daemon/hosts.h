/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Names that /etc/hosts has. The C library's own functions would ask servers, too.
 */
#ifndef KRINGD_HOSTS_H
#define KRINGD_HOSTS_H

/* Calls @found with each number that @name stands for. */
void hosts_find(const char *name, void (*found)(void *owner, const char *number), void *owner);

#endif /* KRINGD_HOSTS_H */
