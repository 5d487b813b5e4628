/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Firecracker's hybrid vsock, for programs written for it.
 *
 * A program of the host's connects to the socket PATH, says "CONNECT <port>\n", gets
 * "OK <number>\n", and is then connected to what listens on that port in the guest; when that
 * fails, its connection is closed. A program of the guest's that connects to port P of the
 * host is connected to the socket PATH_P.
 */
#ifndef KRING_VSOCK_UDS_H
#define KRING_VSOCK_UDS_H

#include <kring.h>

#include "dial.h"

struct vsock_uds;

/**
 * struct vsock_uds_args - what it is to be
 * @mux: whose streams to use
 * @dials: where connections are listed once they are made, and whose loop is used
 * @path: the socket; must stay
 * @ready: whether there is a guest to be connected to; NULL: connections may wait for it
 */
struct vsock_uds_args {
	struct kring_mux *mux;
	struct dials *dials;
	const char *path;
	const bool *ready;
};

/* 0 or a negative errno. */
int vsock_uds_new(struct vsock_uds **vsock, const struct vsock_uds_args *args,
		  struct kring_error *err);
void vsock_uds_free(struct vsock_uds *vsock);

/*
 * A program of the guest's asks for service @name: whether it is "vsock:PORT". If so @target
 * is where it is to be connected to.
 */
bool vsock_uds_target(const struct vsock_uds *vsock, const char *name, struct target *target);

#endif /* KRING_VSOCK_UDS_H */
