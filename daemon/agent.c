// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Between the multiplexer and the services: who may open what.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "link.h"
#include "log.h"
#include "quiesce.h"
#include "restore.h"
#include "services.h"
#include "systemd.h"
#include "trim.h"

/* Lines a second about a host that sends nonsense, or asks for what it may not have. */
#define STRANGE_LINES	5

/* Nanoseconds between looks at whether there is anything to be done. */
#define IDLE	10000000000ull

void agent_strange(struct agent *agent, const char *fmt, ...)
{
	struct agent_strange *strange = &agent->strange;
	uint64_t second = clock_now(CLOCK_BOOTTIME) / 1000000000;
	char text[256];
	va_list args;

	if (second != strange->second) {
		strange->second = second;
		strange->logged = 0;
	}
	if (strange->logged == STRANGE_LINES) {
		strange->unlogged++;
		return;
	}
	strange->logged++;
	if (strange->unlogged)
		log_warning("host: %lu more such lines were left out", strange->unlogged);
	strange->unlogged = 0;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_warning("host: %s", text);
}

static void agent_output(struct kring_mux *mux)
{
	struct agent *agent = kring_mux_owner(mux);

	if (agent->link)
		link_output(agent->link);
}

static void agent_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct agent *agent = kring_mux_owner(mux);
	int ret;

	ret = kring_hello_received(&agent->hello, mux, message, len);
	if (ret < 0) {
		agent_strange(agent, "its Hello makes no sense: %s", strerror(-ret));
		return;
	}
	if (!ret)
		return;
	restore_hello(agent);
	log_info("host: %s, generation %llu", agent->hello.peer_agent,
		 (unsigned long long)agent->hello.generation);
	systemd_notify("STATUS=Connected to %s.", agent->hello.peer_agent);
}

/* The stream's service: NULL, and the stream was reset. */
static const struct service *agent_service(struct agent *agent, struct kring_stream *stream,
					   const char *name)
{
	const struct service *service = service_find(name);

	if (!service) {
		agent_strange(agent, "refused: there is no service %.64s", name);
		kring_reset(stream, ENOENT, "service", "%.64s: there is no such service", name);
		return NULL;
	}
	if (!config_allows(&agent->config, name)) {
		agent_strange(agent, "refused: service %s is not allowed", name);
		kring_reset(stream, EACCES, "policy",
			    "%s: not allowed by the guest's configuration", name);
		return NULL;
	}
	return service;
}

/* After something was done: when nothing is any more, what that has taken is given back. */
static void agent_idle(struct loop_op *op, int result)
{
	struct agent *agent = container_of(op, struct agent, idle);
	struct kring_mux_stats stats;

	if (result)
		return;
	kring_mux_stats(agent->mux, &stats);
	if (stats.streams)
		loop_timeout(&agent->loop, op, IDLE);
	else
		trim_memory();
}

static void agent_serve(struct agent *agent, struct kring_stream *stream, const Kring__Open *open)
{
	const struct service *service = agent_service(agent, stream, open->service);
	void *request = NULL;

	if (!service)
		return;
	if (service->request) {
		request = kring_unpack(service->request, open->request.data, open->request.len);
		if (!request) {
			kring_reset(stream, EBADMSG, service->name, "the request makes no sense");
			return;
		}
	}
	log_debug("stream %u: %s", kring_stream_number(stream), service->name);
	service->open(agent, stream, request);
	kring_unpack_free(request);
}

void agent_open(struct agent *agent, struct kring_stream *stream, const void *bytes, size_t len)
{
	Kring__Open *open = kring_unpack(&kring__open__descriptor, bytes, len);

	if (open)
		agent_serve(agent, stream, open);
	else
		kring_reset(stream, ENOMEM, "open", "out of memory");
	kring_unpack_free(open);
}

static void agent_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
			 const void *bytes, size_t len)
{
	struct agent *agent = kring_mux_owner(mux);
	Kring__Open *open;

	(void)parent;
	if (!agent->idle.busy)
		loop_timeout(&agent->loop, &agent->idle, IDLE);
	/* What waited in the ring since before we attached is nobody's any more. */
	if (!agent->hello.said) {
		kring_reset(stream, EPROTO, "open", "say Hello first");
		return;
	}
	open = kring_unpack(&kring__open__descriptor, bytes, len);
	if (!open) {
		kring_reset(stream, EBADMSG, "open", "the request makes no sense");
		return;
	}
	if (open->token.len == KRING_TOKEN_LEN)
		kring_stream_set_token(stream, open->token.data);
	kring_stream_set_on_fork(stream, open->on_fork);
	if (!quiesce_waits(agent, stream, open->service, bytes, len))
		agent_serve(agent, stream, open);
	kring_unpack_free(open);
}

static void agent_restored(struct kring_mux *mux, uint64_t generation, const void *message,
			   size_t len)
{
	struct agent *agent = kring_mux_owner(mux);
	Kring__Restored *restored = kring_unpack(&kring__restored__descriptor, message, len);

	if (restored)
		restore_received(agent, generation, restored);
	else
		agent_strange(agent, "its RESTORED makes no sense");
	kring_unpack_free(restored);
}

static void agent_resume(struct kring_mux *mux, const void *message, size_t len)
{
	struct agent *agent = kring_mux_owner(mux);
	int ret = kring_mux_resumed(mux, message, len, NULL, NULL);

	if (ret < 0)
		agent_strange(agent, "its RESUME makes no sense");
	else if (ret)
		log_debug("host: all streams go on");
}

static void agent_mux_strange(struct kring_mux *mux, const char *text)
{
	agent_strange(kring_mux_owner(mux), "%s", text);
}

static const struct kring_mux_ops agent_ops = {
	.output = agent_output,
	.opened = agent_opened,
	.hello = agent_hello,
	.restored = agent_restored,
	.resume = agent_resume,
	.strange = agent_mux_strange,
};

int agent_set_allowed(struct agent *agent)
{
	const struct service *const *service;
	const char **names;
	size_t count = 0;

	names = calloc(services_count + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (service = services; *service; service++)
		if (config_allows(&agent->config, (*service)->name))
			names[count++] = (*service)->name;
	free(agent->allowed);
	agent->allowed = names;
	agent->hello.services = names;
	return 0;
}

int agent_init(struct agent *agent)
{
	struct kring_mux_args args = {
		.role = KRING_ROLE_GUEST,
		.frame_max = KRING_STREAM_FRAME_MAX,
		.streams_max = agent->config.streams_max,
		.window = agent->config.window,
		.memory_max = agent->config.memory_max,
		.ops = &agent_ops,
		.owner = agent,
	};

	agent->mux = kring_mux_new(&args);
	if (!agent->mux)
		return -ENOMEM;
	kring_hello_init(&agent->hello, KRINGD_AGENT);
	agent->hello.resumes = true;
	agent->hello.streams_max = agent->config.streams_max;
	agent->started = clock_now(CLOCK_BOOTTIME);
	agent->idle.done = agent_idle;
	return agent_set_allowed(agent);
}

void agent_fini(struct agent *agent)
{
	kring_mux_free(agent->mux);
	agent->mux = NULL;
	free(agent->allowed);
	agent->allowed = NULL;
}

int agent_link_up(struct agent *agent, struct link *link, uint32_t frame_max,
		  uint64_t generation)
{
	int err;

	kring_mux_set_frame_max(agent->mux, frame_max);
	agent->hello.generation = generation;
	err = kring_hello_say(&agent->hello, agent->mux);
	if (!err)
		agent->link = link;
	return err;
}

void agent_link_changed(struct agent *agent, uint64_t generation)
{
	agent->hello.generation = generation;
	if (agent->link && kring_hello_say(&agent->hello, agent->mux))
		log_error("hello: out of memory");
}

void agent_link_down(struct agent *agent, bool keep, const char *why)
{
	agent->link = NULL;
	if (!keep)
		kring_hello_forget(&agent->hello, agent->mux, why);
	kring_hello_anew(&agent->hello, agent->mux, why);
	trim_memory();
	systemd_notify("STATUS=Waiting for a host.");
}

bool agent_connected(const struct agent *agent)
{
	return agent->link && agent->hello.said;
}

bool agent_may_open(const struct agent *agent)
{
	struct kring_mux_stats stats;

	if (!agent_connected(agent))
		return false;
	kring_mux_stats(agent->mux, &stats);
	return stats.streams < 2ull * agent->config.streams_max;
}

void agent_stop(struct agent *agent, enum agent_stop how)
{
	agent->stop = how;
	loop_stop(&agent->loop);
}

/*
 * A Hello from another instance, where nothing may be opened: what a host makes of it is
 * that all of its streams are gone, as it would of the next kringd's.
 */
void agent_farewell(struct agent *agent)
{
	static const char *const nothing[] = { NULL };
	size_t len;
	void *error;

	loop_cancel(&agent->loop, &agent->idle);
	if (!agent->link)
		return;
	/* Results that wait to be sent still count. */
	link_flush(agent->link, 200);
	if (!agent->link)
		return;
	error = kring_pack_error(ESHUTDOWN, "connection", "the agent stops", &len);
	kring_mux_reset_all(agent->mux, error, error ? len : 0);
	free(error);
	kring_hello_init(&agent->hello, KRINGD_AGENT " (stopped)");
	agent->hello.services = nothing;
	if (!kring_hello_say(&agent->hello, agent->mux))
		link_flush(agent->link, 200);
}
