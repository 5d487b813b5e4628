/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A file that is there while the guest is quiesced: a kringd that is killed then leaves it to the
 * next one to thaw it. In the directory that systemd gives us, or nowhere: without systemd there
 * is no next one.
 */
#ifndef KRINGD_QUIESCE_MARK_H
#define KRINGD_QUIESCE_MARK_H

#include <stdbool.h>

void quiesce_mark_set(void);
void quiesce_mark_clear(void);
bool quiesce_mark_is_set(void);

#endif /* KRINGD_QUIESCE_MARK_H */
