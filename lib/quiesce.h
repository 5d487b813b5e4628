/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: a guest that is got ready to be saved, for VMMs.
 *
 *	struct kring_error err;
 *
 *	if (kring_quiesce("/run/kring0", 30000, &err)) {
 *		fprintf(stderr, "no snapshot: %s\n", err.text);
 *		return -1;
 *	}
 *	save_memory_region_and_disks(vm);
 *	if (kring_thaw("/run/kring0", &err))
 *		fprintf(stderr, "the snapshot is not a consistent one: %s\n", err.text);
 *
 * Both block; a VMM calls them from a thread of its own, with the guest running: it is the guest
 * that has to answer. A guest that is restored needs no kring_thaw().
 *
 * What is saved without is right as well: the guest's programs go on where they were. This is for
 * what is outside of the snapshot, or is used without it.
 *
 * A process that has the region itself opens streams of service "quiesce" and "thaw" instead, as
 * <kring/agent.proto> has them.
 */
#ifndef KRING_QUIESCE_H
#define KRING_QUIESCE_H

#include "kring.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kring_quiesce() - run the guest's hooks in freeze.d, and stop what its agent sends
 * @socket: of the broker that has the guest
 * @timeout_ms: milliseconds until the guest thaws by itself, counted from now on, that is what the
 *	hooks and the snapshot may take together; 0: 60 s
 * @err: filled on failure, may be NULL
 *
 * Return: 0: it is quiesced. Else it is not: -ECANCELED: a hook has refused, @err has its name and
 * how it ended; -ETIMEDOUT: it took too long, or nobody has answered at all; -EBUSY: it is quiesced
 * already; -EACCES, -ENOENT: its agent does not allow it, or cannot; or what a socket says.
 */
int kring_quiesce(const char *socket, unsigned int timeout_ms, struct kring_error *err);

/**
 * kring_thaw() - run the guest's hooks in thaw.d, and go on
 * @socket: of the broker that has the guest
 * @err: filled on failure, may be NULL
 *
 * Return: 0: it was quiesced until now. -ESTALE: it was not, or not any more, as its time was over;
 * -EIO: it is thawed, but a hook has failed; else as kring_quiesce().
 */
int kring_thaw(const char *socket, struct kring_error *err);

#ifdef __cplusplus
}
#endif

#endif /* KRING_QUIESCE_H */
