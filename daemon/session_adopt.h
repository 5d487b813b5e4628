/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sessions of an agent that was killed, or stopped while they went on.
 */
#ifndef KRINGD_SESSION_ADOPT_H
#define KRINGD_SESSION_ADOPT_H

#include "agent.h"

/* Take in all that are in the store. */
void sessions_adopt(struct agent *agent);

#endif /* KRINGD_SESSION_ADOPT_H */
