/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where a guest's log comes from. Each takes over the stream, and answers on it.
 */
#ifndef KRINGD_GUESTLOG_H
#define KRINGD_GUESTLOG_H

#include "agent.h"

/* journal.c: by journalctl(1). */
bool journal_exists(void);
void journal_open(struct agent *agent, struct kring_stream *stream, const Kring__Log *request);

/* kmsg.c: the kernel's, from /dev/kmsg. */
void kmsg_open(struct agent *agent, struct kring_stream *stream, const Kring__Log *request);

#endif /* KRINGD_GUESTLOG_H */
