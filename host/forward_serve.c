// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring forward --service and --vsock-uds: what guest programs ask for by name.
 *
 * One stream tells the guest of all names. Connections are streams that belong to it, and so come
 * here, and to nobody else's targets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"

/* Any port of the host's: which of them somebody listens on is seen when it is asked for. */
#define VSOCK_NAMES	"vsock:*"

static void serve_on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct forwarder *forwarder = kring_stream_owner(stream);
	const struct local_service *service;
	unsigned int i;

	(void)reply;
	(void)len;
	for (i = 0; i < forwarder->services.count; i++) {
		service = &forwarder->services.list[i];
		tool_notice("forward: the guest's programs reach %.64s at %.200s", service->name,
			    service->target.text);
	}
	if (forwarder->vsock)
		tool_notice("forward: the guest's programs reach vsock:PORT at %.200s_PORT",
			    forwarder->vsock_path);
}

static void serve_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct forwarder *forwarder = kring_stream_owner(stream);

	(void)result;
	(void)len;
	forwarder->serving = NULL;
	kring_close(stream, NULL);
	snprintf(forwarder->err->text, sizeof(forwarder->err->text),
		 "forward: the guest does not want services any more");
	forwarder_fail(forwarder);
}

static void serve_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct forwarder *forwarder = kring_stream_owner(stream);

	forwarder->serving = NULL;
	client_error(forwarder->err, error, len);
	forwarder_fail(forwarder);
}

static const struct kring_stream_ops serve_ops = {
	.accepted = serve_on_accepted,
	.closed = serve_on_closed,
	.reset = serve_on_reset,
};

/* 0 or a negative errno. */
static int serve_open(struct forwarder *forwarder)
{
	Kring__Serve serve = KRING__SERVE__INIT;
	unsigned int i;

	serve.names = calloc(forwarder->services.count + 1, sizeof(*serve.names));
	if (!serve.names)
		return -ENOMEM;
	for (i = 0; i < forwarder->services.count; i++)
		serve.names[serve.n_names++] = forwarder->services.list[i].name;
	if (forwarder->vsock)
		serve.names[serve.n_names++] = (char *)VSOCK_NAMES;
	forwarder->serving = kring_open(client_mux(forwarder->client), "serve", &serve.base, 0,
					&serve_ops, forwarder);
	free(serve.names);
	return forwarder->serving ? 0 : -errno;
}

int forward_serve(struct forwarder *forwarder, struct kring_error *err)
{
	struct vsock_uds_args args = {
		.mux = client_mux(forwarder->client),
		.dials = &forwarder->dials,
		.path = forwarder->vsock_path,
	};
	int code = 0;

	if (!args.path && !forwarder->services.count)
		return 0;
	if (args.path) {
		code = vsock_uds_new(&forwarder->vsock, &args, err);
		if (code)
			return code;
		tool_notice("forward: listening on %.200s, to the guest's vsock ports", args.path);
	}
	code = serve_open(forwarder);
	if (code)
		snprintf(err->text, sizeof(err->text), "forward: %s", strerror(-code));
	return code;
}

void forward_serve_end(struct forwarder *forwarder)
{
	vsock_uds_free(forwarder->vsock);
	forwarder->vsock = NULL;
	if (forwarder->serving)
		kring_reset(forwarder->serving, ECANCELED, "serve", "not wanted any more");
	forwarder->serving = NULL;
}

void forward_serve_opened(struct forwarder *forwarder, struct kring_stream *stream,
			  const Kring__Open *open)
{
	Kring__Service *service = NULL;

	if (!strcmp(open->service, "service"))
		service = kring_unpack(&kring__service__descriptor, open->request.data,
				       open->request.len);
	if (!service)
		kring_reset(stream, ENOENT, "open", "that is no connection to a service");
	else if (!local_services_dial(&forwarder->services, forwarder->vsock, &forwarder->dials,
				      stream, service->name))
		kring_reset(stream, ENOENT, "service", "no service %.64s is forwarded",
			    service->name);
	kring_unpack_free(service);
}
