/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Services of the host's, for programs of the guest: of the broker or of kring forward.
 */
#ifndef KRING_LOCAL_SERVICES_H
#define KRING_LOCAL_SERVICES_H

#include "dial.h"
#include "vsock_uds.h"

/**
 * struct local_service - NAME=unix:PATH or NAME=tcp:HOST:PORT
 * @name: what the guest's program asks for
 * @target: where it is connected to
 */
struct local_service {
	char *name;
	struct target target;
};

/**
 * struct local_services - all of --service
 * @list: they
 * @count: how many
 */
struct local_services {
	struct local_service *list;
	unsigned int count;
};

/* One more, as --service has it: an exit status. */
int local_services_add(struct local_services *services, const char *text,
		       struct kring_error *err);
void local_services_clear(struct local_services *services);

/*
 * A program of the guest's asks for @name: connect @stream to that service, or to a port of
 * @vsock, which may be NULL. Whether there is such a service; else @stream is as it was.
 */
bool local_services_dial(const struct local_services *services, const struct vsock_uds *vsock,
			 struct dials *dials, struct kring_stream *stream, const char *name);

#endif /* KRING_LOCAL_SERVICES_H */
