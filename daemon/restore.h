/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * RESTORED: the guest's memory is from another moment, or another guest has the same.
 *
 * The clock is set, streams of a forked child go their ways, a quiesced guest is thawed, and the
 * hooks of restore.d are run. Then the host gets its answer. No frame is taken meanwhile: so what
 * the host asks for behind RESTORED is asked of a guest that is ready for it.
 */
#ifndef KRINGD_RESTORE_H
#define KRINGD_RESTORE_H

#include "agent.h"

/*
 * A host has said Hello, over another connection than before. While a restore is being dealt with
 * it is not listened to any further.
 */
void restore_hello(struct agent *agent);

/**
 * restore_received() - the host has said RESTORED
 * @agent: agent
 * @generation: of the region
 * @message: what it has said; not needed any more afterwards
 *
 * What is known already is answered at once. As nothing is taken while a restore is dealt with, be
 * it from the next host, what else is said waits for that: so whatever hosts say, there is one hook
 * at a time, and none is run twice for the same restore.
 */
void restore_received(struct agent *agent, uint64_t generation, const Kring__Restored *message);

/* The run ends: hooks that were not begun by then are not run, which the log tells. */
void restore_fini(void);

#endif /* KRINGD_RESTORE_H */
