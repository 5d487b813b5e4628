// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's own streams with the guest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker_client.h"
#include "vsock_uds.h"

/* What a client may open at the broker itself. */
static const char *const own_services[] = {
	"broker.stat", "broker.events", "broker.events.json", NULL
};

/* A guest may name so many services; who asks for one knows its name anyway. */
#define SERVICES_MAX	64

static void open_service(struct local *local, struct kring_stream *stream, const char *name)
{
	struct broker *broker = local->broker;

	if (local_services_dial(&broker->args->services, local->vsock, &local->dials, stream, name))
		return;
	broker_event(broker, true, "refused",
		     "the guest has asked for a service that is not configured");
	kring_reset(stream, ENOENT, "service", "no service %.64s is configured", name);
}

static void local_on_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
			    const void *request, size_t len)
{
	struct local *local = kring_mux_owner(mux);
	Kring__Service *service = NULL;
	Kring__Open *open;

	open = kring_unpack(&kring__open__descriptor, request, len);
	if (open && open->token.len == KRING_TOKEN_LEN)
		kring_stream_set_token(stream, open->token.data);
	if (open && !parent && !strcmp(open->service, "service"))
		service = kring_unpack(&kring__service__descriptor, open->request.data,
				       open->request.len);
	if (service)
		open_service(local, stream, service->name);
	else if (parent)
		kring_reset(stream, ENOENT, "open", "nobody listens, or has room for more streams");
	else
		kring_reset(stream, ENOENT, "open", "the host has no such service");
	kring_unpack_free(service);
	kring_unpack_free(open);
}

static void free_services(char **services)
{
	char **s;

	for (s = services; s && *s; s++)
		free(*s);
	free(services);
}

/* What clients are told can be opened: the guest's services, and the broker's. */
static void keep_services(struct local *local, const void *message, size_t len)
{
	Kring__Hello *said = kring_unpack(&kring__hello__descriptor, message, len);
	size_t i, n = said ? said->n_services : 0, own = 0;
	char **services;

	while (own_services[own])
		own++;
	if (n > SERVICES_MAX)
		n = SERVICES_MAX;
	services = calloc(n + own + 1, sizeof(*services));
	for (i = 0; services && i < n + own; i++) {
		services[i] = strndup(i < n ? said->services[i] : own_services[i - n], 64);
		if (!services[i])
			break;
	}
	kring_unpack_free(said);
	/* Clients look at them from their next Hello on, and are told first. */
	free_services(local->guest_services);
	local->guest_services = services;
}

static void local_on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct local *local = kring_mux_owner(mux);
	uint64_t process = local->hello.peer_process;
	enum guest_came came = GUEST_REPLACED;
	int code;

	if (!local->hello.peer_instance)
		came = GUEST_FIRST;

	code = kring_hello_received(&local->hello, mux, message, len);
	if (code < 0) {
		broker_event(local->broker, false, "strange", "the guest's Hello: %s",
			     code == -EPROTO ? "a version that is not spoken here" :
			     strerror(-code));
		return;
	}
	if (code != 1)
		return;
	if (came == GUEST_REPLACED && process && process == local->hello.peer_process)
		came = GUEST_AGAIN;
	keep_services(local, message, len);
	broker_guest_hello(local->broker, came);
}

static void local_on_pong(struct kring_mux *mux, uint64_t cookie)
{
	struct local *local = kring_mux_owner(mux);
	struct broker_client *client;

	TAILQ_FOREACH(client, &local->broker->clients, link) {
		if (client->serial == cookie >> 32) {
			client_pong(client, cookie);
			return;
		}
	}
}

static void local_on_resume(struct kring_mux *mux, const void *message, size_t len)
{
	struct local *local = kring_mux_owner(mux);

	broker_guest_resume(local->broker, message, len);
}

static void local_on_restored(struct kring_mux *mux, uint64_t generation, const void *message,
			      size_t len)
{
	struct local *local = kring_mux_owner(mux);

	(void)generation;
	(void)message;
	(void)len;
	if (!local->hello.restoring)
		return;
	kring_restored_answered(&local->hello, mux);
	broker_event(local->broker, false, "guest", "the guest has dealt with its restore");
	broker_check_ready(local->broker);
}

static void local_on_output(struct kring_mux *mux)
{
	struct local *local = kring_mux_owner(mux);

	broker_ring_wait(local->broker, &local->broker->local_turn);
}

static void local_on_strange(struct kring_mux *mux, const char *text)
{
	struct local *local = kring_mux_owner(mux);

	broker_event(local->broker, true, "strange", "the guest: %s", text);
}

static const struct kring_mux_ops local_mux_ops = {
	.output = local_on_output,
	.opened = local_on_opened,
	.hello = local_on_hello,
	.pong = local_on_pong,
	.restored = local_on_restored,
	.resume = local_on_resume,
	.strange = local_on_strange,
};

int local_new(struct local **made, struct broker *broker, struct kring_error *err)
{
	struct kring_mux_args args = {
		.role = KRING_ROLE_HOST,
		.frame_max = broker->frame_max,
		.streams_max = broker->args->streams_max,
		.memory_max = broker->args->memory_max,
		.ops = &local_mux_ops,
	};
	struct vsock_uds_args vsock = {
		.path = broker->args->vsock_uds, .ready = &broker->ready,
	};
	struct local *local = calloc(1, sizeof(*local));
	int code = 0;

	if (local) {
		args.owner = local;
		local->mux = kring_mux_new(&args);
	}
	if (!local || !local->mux) {
		free(local);
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	local->broker = broker;
	local->dials.loop = broker->loop;
	kring_hello_init(&local->hello, "kring broker " KRING_TOOL_VERSION);
	local->hello.streams_max = broker->args->streams_max;
	local->hello.resumes = true;
	local->hello.relays = true;
	vsock.mux = local->mux;
	vsock.dials = &local->dials;
	if (vsock.path)
		code = vsock_uds_new(&local->vsock, &vsock, err);
	if (code) {
		local_free(local);
		return code;
	}
	*made = local;
	return 0;
}

void local_end(struct local *local, int error, const char *text)
{
	dials_end(&local->dials, error, text);
	vsock_uds_free(local->vsock);
	local->vsock = NULL;
}

void local_free(struct local *local)
{
	if (!local)
		return;
	local_end(local, ESHUTDOWN, "the broker ends");
	kring_mux_free(local->mux);
	free_services(local->guest_services);
	free(local);
}
