/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All services there are, each in a file of its own. service.c has the table.
 */
#ifndef KRINGD_SERVICES_H
#define KRINGD_SERVICES_H

#include "agent.h"

/* programs */
extern const struct service service_exec;
extern const struct service service_attach;
extern const struct service service_ps;
extern const struct service service_kill;

/* files */
extern const struct service service_stat;
extern const struct service service_list;
extern const struct service service_mkdir;
extern const struct service service_remove;
extern const struct service service_rename;
extern const struct service service_symlink;
extern const struct service service_attributes;
extern const struct service service_get;
extern const struct service service_put;

/* connections */
extern const struct service service_connect;
extern const struct service service_listen;
extern const struct service service_serve;

/* the guest itself */
extern const struct service service_info;
extern const struct service service_health;
extern const struct service service_clock;
extern const struct service service_shutdown;
extern const struct service service_log;
extern const struct service service_quiesce;
extern const struct service service_thaw;

#endif /* KRINGD_SERVICES_H */
