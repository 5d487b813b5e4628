// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Services of the host's, for programs of the guest, who know them by name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local_services.h"
#include "tool.h"

static int service_parse(struct local_service *service, const char *text,
			 struct kring_error *err)
{
	const char *equals = strchr(text, '=');
	int code;

	if (!equals || equals == text) {
		snprintf(err->text, sizeof(err->text),
			 "%.128s: not NAME=unix:PATH or NAME=tcp:HOST:PORT", text);
		return -EINVAL;
	}
	code = target_parse(&service->target, equals + 1, err);
	if (code)
		return code;
	service->name = strndup(text, equals - text);
	if (!service->name) {
		target_clear(&service->target);
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	return 0;
}

static void service_clear(struct local_service *service)
{
	free(service->name);
	target_clear(&service->target);
}

static const struct target *find(const struct local_services *services, const char *name)
{
	unsigned int i;

	for (i = 0; i < services->count; i++)
		if (!strcmp(services->list[i].name, name))
			return &services->list[i].target;
	return NULL;
}

int local_services_add(struct local_services *services, const char *text,
		       struct kring_error *err)
{
	struct local_service *more, service = { 0 };

	more = realloc(services->list, (services->count + 1) * sizeof(*more));
	if (!more)
		return tool_usage(err, "--service: no memory");
	services->list = more;
	if (service_parse(&service, text, err))
		return TOOL_USAGE;
	if (find(services, service.name)) {
		tool_usage(err, "--service %.64s: it is there twice", service.name);
		service_clear(&service);
		return TOOL_USAGE;
	}
	more[services->count++] = service;
	return TOOL_DONE;
}

void local_services_clear(struct local_services *services)
{
	unsigned int i;

	for (i = 0; i < services->count; i++)
		service_clear(&services->list[i]);
	free(services->list);
}

bool local_services_dial(const struct local_services *services, const struct vsock_uds *vsock,
			 struct dials *dials, struct kring_stream *stream, const char *name)
{
	const struct target *target = find(services, name);
	struct target port;

	if (target) {
		dial(dials, stream, target);
		return true;
	}
	if (!vsock || !vsock_uds_target(vsock, name, &port))
		return false;
	dial(dials, stream, &port);
	target_clear(&port);
	return true;
}
