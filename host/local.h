/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The broker's own streams with the guest: connections of the guest's programs to services of
 * the host's, and those of --vsock-uds the other way.
 *
 * A guest's program can be connected to what was configured by name, and to nothing else.
 */
#ifndef KRING_LOCAL_H
#define KRING_LOCAL_H

#include <message.h>
#include <mux.h>

#include "local_services.h"

struct broker;

/**
 * struct local - the local multiplexer
 * @broker: whose
 * @mux: its streams
 * @hello: what the guest and the broker have said
 * @guest_services: what the guest's Hello says can be opened there, NULL behind the last
 * @dials: connections of the guest's programs, and all that are established
 * @vsock: --vsock-uds, or NULL
 */
struct local {
	struct broker *broker;
	struct kring_mux *mux;
	struct kring_hello hello;
	char **guest_services;
	struct dials dials;
	struct vsock_uds *vsock;
};

int local_new(struct local **local, struct broker *broker, struct kring_error *err);
void local_free(struct local *local);

/* Break off all there is, as the broker ends. */
void local_end(struct local *local, int error, const char *text);

#endif /* KRING_LOCAL_H */
