/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What becomes of streams in a forked child: Open.on_fork, as kring_stream_on_fork() has it.
 */
#ifndef KRINGD_FORK_POLICY_H
#define KRINGD_FORK_POLICY_H

#include "agent.h"

/* This guest is a forked child: from where callbacks of streams come. */
void fork_policy_apply(struct agent *agent);

#endif /* KRINGD_FORK_POLICY_H */
