/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What hello.c needs of restored.c.
 */
#ifndef KRING_RESTORED_H
#define KRING_RESTORED_H

#include "message.h"
#include "mux.h"

/*
 * The host's: say RESTORED where the guest, as its Hello @said, does not know yet: sets
 * @hello->restoring. 0 or -ENOMEM.
 */
int restored_say(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said);

/* The guest's: whether the host, as its Hello @said, is going to say RESTORED. */
void restored_expect(struct kring_hello *hello, const Kring__Hello *said);

#endif /* KRING_RESTORED_H */
