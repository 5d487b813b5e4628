// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a guest does that was restored.
 *
 * Nothing here depends on a host that stays: when the connection is lost, the hooks go on, and
 * the next host need not ask for what was done. Nor on CLOCK_REALTIME, which is stepped here, and
 * CLOCK_BOOTTIME: see clock.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "fork_policy.h"
#include "hooks.h"
#include "link.h"
#include "log.h"
#include "quiesce.h"
#include "restore.h"

/**
 * struct restore_event - a RESTORED
 * @event: for hooks
 * @restored: generation that was made by the restore
 * @time: of the host
 */
struct restore_event {
	struct hooks_event event;
	uint64_t restored;
	int64_t time;
};

/**
 * struct restore - the one there may be
 * @agent: agent
 * @running: @now is being dealt with
 * @asked: the present host waits for an answer
 * @now: what is dealt with
 * @hooks: restore.d
 */
static struct restore {
	struct agent *agent;
	bool running;
	bool asked;
	struct restore_event now;
	struct hooks hooks;
} restore;

void restore_hello(struct agent *agent)
{
	if (!restore.running)
		return;
	restore.asked = false;
	link_hold(agent->link, true);
}

/* NULL: the host has not said it. */
static const uint8_t *event_uuid(const struct restore_event *event)
{
	return event->event.has_uuid ? event->event.uuid : NULL;
}

static bool is_known(const struct kring_hello *hello, const struct restore_event *event)
{
	return kring_restored_known(hello, event->restored, event_uuid(event));
}

/* The host that has asked may have gone: the next one hears of it in Hello, or asks itself. */
static void restore_answer(const struct restore_event *event, uint64_t old_generation)
{
	struct agent *agent = restore.agent;

	if (!restore.asked || !agent->link)
		return;
	restore.asked = false;
	if (kring_restored_answer(agent->mux, old_generation, event->event.new_generation))
		log_error("restored: out of memory");
}

static void restore_finish(struct hooks *hooks)
{
	const struct restore_event *now = &restore.now;
	struct agent *agent = restore.agent;

	if (hooks->failed)
		log_warning("restored: %u of %zu hooks failed", hooks->failed, hooks->next);
	restore.running = false;
	/* A first Hello that has come meanwhile may know of a later one. */
	if (!is_known(&agent->hello, now))
		kring_restored_dealt(&agent->hello, now->event.new_generation, now->restored,
				     event_uuid(now));
	restore_answer(now, now->event.old_generation);
	quiesce_release(agent);
	if (agent->link)
		link_hold(agent->link, false);
}

static void restore_thawed(struct agent *agent)
{
	struct hooks_args args = {
		.dir = agent->config.restore_d,
		.event = &restore.now.event,
	};

	hooks_start(&restore.hooks, agent, &args, restore_finish);
}

static void restore_begin(struct agent *agent, const struct restore_event *now)
{
	struct hooks_event *event = &restore.now.event;

	restore.now = *now;
	restore.running = true;
	/* From the next frame on. */
	link_hold(agent->link, true);
	event->old_generation = agent->hello.known_generation;
	log_info("%s: generation %" PRIu64 ", it was %" PRIu64,
		 event->forked ? "forked" : "restored", event->new_generation,
		 event->old_generation);
	if (agent->config.clock && config_allows(&agent->config, "clock"))
		clock_follow(restore.now.time);
	if (event->forked)
		fork_policy_apply(agent);
	quiesce_end(agent, event, restore_thawed);
}

void restore_received(struct agent *agent, uint64_t generation, const Kring__Restored *message)
{
	struct restore_event event = {
		.event.new_generation = generation,
		.event.forked = message->forked,
		.restored = message->restored,
		.time = message->time,
	};

	if (message->uuid.len == KRING_UUID_LEN) {
		event.event.has_uuid = true;
		memcpy(event.event.uuid, message->uuid.data, KRING_UUID_LEN);
	}
	restore.agent = agent;
	restore.asked = true;
	if (is_known(&agent->hello, &event))
		restore_answer(&event, agent->hello.restored);
	else if (!restore.running)
		restore_begin(agent, &event);
}

void restore_fini(void)
{
	if (restore.running)
		log_warning("stopping, and not all hooks of the restore were run");
}
