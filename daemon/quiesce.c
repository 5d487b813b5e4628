// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Services "quiesce" and "thaw".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "quiesce.h"
#include "quiesce_mark.h"
#include "services.h"
#include "waiting.h"

#define SECOND		1000000000ull

/* Where the host has not said how long it needs. */
#define TIMEOUT		(60 * SECOND)

enum quiesce_state {
	QUIESCE_IDLE,
	QUIESCE_FREEZING,
	QUIESCE_QUIESCED,
	QUIESCE_THAWING,
};

/**
 * struct quiesce - the state of the guest
 * @agent: agent
 * @state: how far it is
 * @stream: of the host that waits for it to be quiesced, NULL: none
 * @thaw: of the host that waits for it to be thawed, NULL: none
 * @asked: a host has asked to thaw it
 * @limit: waits until its time is over
 * @time: nanoseconds that it has
 * @stale: @limit is the last one's, and begins anew when that has ended
 * @failure: why it could not be quiesced
 * @event: for hooks: the restore that has ended it; NULL: there was none
 * @own_event: for hooks, without one
 * @over: whom to tell when it is idle, NULL: nobody
 * @hooks: freeze.d, then thaw.d
 * @last: where it could not be quiesced: name of the last of freeze.d that was begun, or empty
 * @but_last: that one has done nothing that would have to be undone
 */
static struct quiesce {
	struct agent *agent;
	enum quiesce_state state;
	struct kring_stream *stream;
	struct kring_stream *thaw;
	bool asked;
	struct loop_op limit;
	uint64_t time;
	bool stale;
	struct failure failure;
	const struct hooks_event *event;
	struct hooks_event own_event;
	void (*over)(struct agent *agent);
	struct hooks hooks;
	char last[NAME_MAX + 1];
	bool but_last;
} quiesce;

static void on_limit(struct loop_op *op, int result);

/* Nothing has happened to the region. */
static const struct hooks_event *own_event(struct agent *agent)
{
	struct hooks_event *event = &quiesce.own_event;

	event->old_generation = agent->hello.generation;
	event->new_generation = agent->hello.generation;
	event->forked = false;
	event->has_uuid = agent->hello.has_uuid;
	memcpy(event->uuid, agent->hello.uuid, KRING_UUID_LEN);
	return event;
}

static void start_limit(struct agent *agent, uint64_t time)
{
	quiesce.time = time;
	quiesce.limit.done = on_limit;
	quiesce.stale = quiesce.limit.busy;
	if (!quiesce.stale)
		loop_timeout(&agent->loop, &quiesce.limit, time);
}

/*
 * The end
 */

static void answer_thaw(void)
{
	struct kring_stream *stream = quiesce.thaw;

	quiesce.thaw = NULL;
	if (!stream)
		return;
	if (!quiesce.asked)
		kring_reset(stream, ESTALE, "thaw", "%s", "the guest was not quiesced any more");
	else if (quiesce.hooks.failed)
		kring_reset(stream, EIO, "thaw.d", "the guest is thawed, but: %s",
			    quiesce.hooks.failure);
	else
		kring_close(stream, NULL);
}

static void thaw_done(struct hooks *hooks)
{
	struct agent *agent = hooks->agent;
	void (*over)(struct agent *agent) = quiesce.over;

	quiesce.state = QUIESCE_IDLE;
	quiesce.over = NULL;
	quiesce_mark_clear();
	loop_cancel(&agent->loop, &quiesce.limit);
	log_info("thawed");
	if (quiesce.stream)
		kring_reset(quiesce.stream, quiesce.failure.number, quiesce.failure.step, "%s",
			    quiesce.failure.text);
	quiesce.stream = NULL;
	answer_thaw();
	if (over)
		over(agent);
	else
		waiting_release(agent);
}

/* Those of thaw.d that undo what was done, in the opposite order. */
static void begin_thaw(void)
{
	struct agent *agent = quiesce.agent;
	struct hooks_args args = {
		.dir = agent->config.thaw_d,
		.event = quiesce.event ? quiesce.event : own_event(agent),
		.reverse = true,
		.until = quiesce.failure.number ? quiesce.last : NULL,
		.but_until = quiesce.but_last,
	};

	quiesce.state = QUIESCE_THAWING;
	hooks_start(&quiesce.hooks, agent, &args, thaw_done);
}

/* It is not to be quiesced any more, whether or not it is yet. */
__attribute__((format(printf, 2, 3)))
static void stop(int number, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (quiesce.state == QUIESCE_QUIESCED) {
		log_info("thawing: %s", text);
		begin_thaw();
	} else if (quiesce.state == QUIESCE_FREEZING && !quiesce.failure.number) {
		failure_set(&quiesce.failure, number, "quiesce", "%s", text);
		hooks_stop(&quiesce.hooks);
	}
}

/*
 * The beginning
 */

static void freeze_done(struct hooks *hooks)
{
	struct agent *agent = hooks->agent;
	struct kring_stream *stream = quiesce.stream;

	if (!quiesce.failure.number && hooks->failed)
		failure_set(&quiesce.failure, ECANCELED, "freeze.d", "%s", hooks->failure);
	if (quiesce.failure.number) {
		log_warning("not quiesced: %s: %s", quiesce.failure.step, quiesce.failure.text);
		snprintf(quiesce.last, sizeof(quiesce.last), "%s", hooks->last);
		quiesce.but_last = hooks->refused;
		begin_thaw();
		return;
	}
	quiesce.state = QUIESCE_QUIESCED;
	quiesce.stream = NULL;
	waiting_hold(agent, stream);
	log_info("quiesced");
	if (kring_close(stream, NULL))
		stop(ENOMEM, "out of memory");
}

static void on_limit(struct loop_op *op, int result)
{
	(void)result;
	if (quiesce.state != QUIESCE_FREEZING && quiesce.state != QUIESCE_QUIESCED)
		return;
	if (quiesce.stale)
		loop_timeout(&quiesce.agent->loop, op, quiesce.time);
	else
		stop(ETIMEDOUT, "its %.3g s are over", quiesce.time / 1e9);
	quiesce.stale = false;
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)stream;
	(void)error;
	(void)len;
	quiesce.stream = NULL;
	stop(ECONNRESET, "the host does not want it any more");
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	kring_close(stream, NULL);
	on_reset(stream, result, len);
}

static const struct kring_stream_ops quiesce_ops = {
	.closed = on_closed,
	.reset = on_reset,
};

static void quiesce_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	const Kring__Quiesce *wanted = request;
	struct hooks_args args = {
		.dir = agent->config.freeze_d,
		.veto = true,
	};

	if (quiesce.state != QUIESCE_IDLE) {
		kring_reset(stream, EBUSY, "quiesce", "the guest is %s",
			    quiesce.state == QUIESCE_THAWING ? "being thawed" : "quiesced already");
		return;
	}
	if (kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "quiesce", "out of memory");
		return;
	}
	kring_stream_set_ops(stream, &quiesce_ops, NULL);
	quiesce.agent = agent;
	quiesce.state = QUIESCE_FREEZING;
	quiesce.stream = stream;
	quiesce.asked = false;
	quiesce.failure.number = 0;
	quiesce.event = NULL;
	quiesce.last[0] = '\0';
	quiesce.but_last = false;
	quiesce_mark_set();
	start_limit(agent, wanted->timeout ? wanted->timeout : TIMEOUT);
	args.event = own_event(agent);
	hooks_start(&quiesce.hooks, agent, &args, freeze_done);
}

static void thaw_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)stream;
	(void)error;
	(void)len;
	quiesce.thaw = NULL;
}

static const struct kring_stream_ops thaw_ops = {
	.reset = thaw_reset,
};

static void thaw_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	(void)agent;
	(void)request;
	if (quiesce.state == QUIESCE_IDLE) {
		kring_reset(stream, ESTALE, "thaw", "the guest is not quiesced");
		return;
	}
	if (quiesce.thaw) {
		kring_reset(stream, EBUSY, "thaw", "the guest is being thawed");
		return;
	}
	if (kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "thaw", "out of memory");
		return;
	}
	kring_stream_set_ops(stream, &thaw_ops, NULL);
	quiesce.thaw = stream;
	if (quiesce.state != QUIESCE_THAWING) {
		quiesce.asked = true;
		stop(EINTR, "thawed by the host");
	}
}

/*
 * For the rest of the agent
 */

void quiesce_end(struct agent *agent, const struct hooks_event *event,
		 void (*over)(struct agent *agent))
{
	if (quiesce.state == QUIESCE_IDLE) {
		over(agent);
		return;
	}
	quiesce.event = event;
	quiesce.over = over;
	stop(ESTALE, "the guest was restored");
}

void quiesce_release(struct agent *agent)
{
	waiting_release(agent);
}

bool quiesce_waits(struct agent *agent, struct kring_stream *stream, const char *service,
		   const void *open, size_t len)
{
	if (quiesce.state == QUIESCE_IDLE || !strcmp(service, service_quiesce.name) ||
	    !strcmp(service, service_thaw.name))
		return false;
	/* What is going to be refused need not wait for that. */
	if (!service_find(service) || !config_allows(&agent->config, service))
		return false;
	waiting_add(stream, open, len);
	return true;
}

void quiesce_opened(struct agent *agent, struct kring_stream *stream)
{
	(void)agent;
	if (quiesce.state == QUIESCE_QUIESCED || quiesce.state == QUIESCE_THAWING)
		kring_stream_hold(stream, true);
}

void quiesce_init(struct agent *agent)
{
	quiesce.agent = agent;
	if (!quiesce_mark_is_set())
		return;
	log_warning("the guest was quiesced when the last kringd ended: thawing");
	begin_thaw();
}

void quiesce_fini(struct agent *agent)
{
	(void)agent;
	stop(ESHUTDOWN, "the agent stops");
}

const struct service service_quiesce = {
	.name = "quiesce",
	.request = &kring__quiesce__descriptor,
	.open = quiesce_open,
};

const struct service service_thaw = {
	.name = "thaw",
	.open = thaw_open,
};
