/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What an operator reads: one line for each event, to stderr, with the level in front as
 * journald wants it (sd-daemon(3)) where stderr is the journal, else with the program's name.
 */
#ifndef KRINGD_LOG_H
#define KRINGD_LOG_H

#include <syslog.h>

/* @level: LOG_ERR ... LOG_DEBUG; those above the configured one are not written. */
void log_line(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_set_level(int level);

#define log_error(...)		log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...)	log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...)		log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)		log_line(LOG_DEBUG, __VA_ARGS__)

#endif /* KRINGD_LOG_H */
