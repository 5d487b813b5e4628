// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker, when one end of its streams comes back over another connection.
 *
 * The broker is none of those ends. Whenever the guest's agent or the broker attaches anew, the
 * guest says which streams it has; each waits in the switch until the client comes that has it,
 * too, or until --resume-timeout. Clients say what they have behind their Hello. So a broker
 * that was killed and started again, a guest that was restored, and a ring that was broken are
 * all the same to them: they connect, say Hello, which is not answered before the guest has said
 * all that it has, and go on.
 */
#include <errno.h>
#include <string.h>

#include "broker_client.h"
#include "frame.h"
#include "switch_resume.h"

static const char moved[] = "its streams go on over another connection";
static const char nobody[] = "nobody came back for it";

static uint64_t streams_waiting(const struct broker *broker)
{
	struct switch_stats stats;

	switch_stats(broker->sb, &stats);
	return stats.waiting;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct broker *broker = userdata;
	unsigned int count = switch_give_up(broker->sb, ETIMEDOUT, nobody);

	(void)source;
	(void)usec;
	if (count)
		broker_event(broker, false, "resume",
			     "streams given up, as nobody came back for them: %u", count);
	if (broker->ring)
		link_again(broker->ring);
	return 0;
}

int broker_resume_init(struct broker *broker)
{
	int code;

	code = sd_event_add_time_relative(broker->loop, &broker->resume_timer, CLOCK_MONOTONIC,
					  0, 0, on_timeout, broker);
	if (code >= 0)
		code = sd_event_source_set_enabled(broker->resume_timer, SD_EVENT_OFF);
	return code < 0 ? code : 0;
}

void broker_resume_free(struct broker *broker)
{
	broker->resume_timer = sd_event_source_disable_unref(broker->resume_timer);
}

static void timer_start(struct broker *broker)
{
	sd_event_source_set_time_relative(broker->resume_timer,
					  broker->args->resume_timeout * 1000);
	sd_event_source_set_enabled(broker->resume_timer, SD_EVENT_ONESHOT);
}

void broker_check_ready(struct broker *broker)
{
	const struct kring_hello *hello = &broker->local->hello;
	struct broker_client *client;
	uint64_t waiting;

	if (broker->ready || !hello->said || hello->restoring || !broker->guest_told)
		return;
	broker->ready = true;
	waiting = streams_waiting(broker);
	if (waiting) {
		broker_event(broker, false, "resume", "streams that wait for their clients: %llu",
			     (unsigned long long)waiting);
		timer_start(broker);
	}
	TAILQ_FOREACH(client, &broker->clients, link)
		client_guest_hello(client);
}

/*
 * Who can resume connects again: to it, this is a broker that has been started again. What a
 * client holds for the ring is not for the next connection.
 */
static void client_lost(struct broker_client *client, bool resumes, const char *text)
{
	struct broker *broker = client->broker;
	bool busy = client->hand_len || client->port.count > client->port.refused;

	broker_ring_forget(broker, &client->turn);
	client_hand_empty(client);
	if (!resumes || !client->hello.peer_resumes)
		switch_port_lost(broker->sb, &client->port, ECONNRESET, text);
	else if (busy)
		client_drop(client, moved);
}

void broker_guest_lost(struct broker *broker, const char *text)
{
	bool resumes = broker->local->hello.peer_resumes;
	struct broker_client *client;

	TAILQ_FOREACH(client, &broker->clients, link)
		client_lost(client, resumes, text);
	switch_clear(broker->sb);
	sd_event_source_set_enabled(broker->resume_timer, SD_EVENT_OFF);
	broker->out_len = 0;
	broker->local_first = false;
	broker->guest_told = false;
	broker->guest_named = 0;
	broker->ready = false;
}

void broker_guest_hello(struct broker *broker, enum guest_came came)
{
	static const char *const words[] = {
		[GUEST_FIRST] = "is there", [GUEST_AGAIN] = "has attached again",
		[GUEST_REPLACED] = "was replaced",
	};
	const struct kring_hello *hello = &broker->local->hello;

	broker_event(broker, false, "guest", "the guest's agent %s: %s, generation %llu",
		     words[came], hello->peer_agent, (unsigned long long)hello->peer_generation);
	if (came != GUEST_FIRST)
		broker_guest_lost(broker, "the guest's agent was replaced");
	/* One that does not resume has no streams of before. */
	broker->guest_told = !hello->peer_resumes;
	broker_check_ready(broker);
}

/* What the guest is not told for want of memory, it goes on waiting for. */
static void tell_guest(struct broker *broker, const struct kring_resume *streams, size_t count)
{
	if (count && kring_mux_resume(broker->local->mux, streams, count, false))
		broker_event(broker, false, "strange", "%s", strerror(ENOMEM));
	broker->local_first = true;
}

/* The guest has a stream, which is none of the local multiplexer's. */
static void guest_has(void *owner, const struct kring_resume *stream)
{
	struct kring_resume absent = { .number = stream->number, .absent = true };
	struct broker *broker = owner;
	struct kring_mux *mux = broker->local->mux;
	int code;

	/* Each may have to be answered. */
	if (stream->absent || broker->guest_named >= broker->args->streams_max)
		return;
	broker->guest_named++;
	/* Another one has its number here; or it was opened to a broker that is gone. */
	if (kring_mux_find(mux, stream->number) || (!(stream->number & 1) && !stream->parent))
		code = -ENOENT;
	else
		code = switch_orphan(broker->sb, stream);
	if (code)
		tell_guest(broker, &absent, 1);
	else
		kring_mux_skip_number(mux, stream->number);
}

void broker_guest_resume(struct broker *broker, const void *message, size_t len)
{
	int code;

	if (broker->guest_told) {
		broker_event(broker, true, "strange", "the guest: RESUME behind the last one");
		return;
	}
	code = kring_mux_resumed(broker->local->mux, message, len, guest_has, broker);
	if (code < 0)
		broker_event(broker, false, "strange", "the guest: RESUME that makes no sense");
	if (code != 1)
		return;
	broker->guest_told = true;
	broker_check_ready(broker);
}

/* Whether a client says of any stream that it has it. */
static bool names_streams(const void *message, size_t len)
{
	Kring__Resume *resume = kring_unpack(&kring__resume__descriptor, message, len);
	bool names = resume && resume->n_streams;

	kring_unpack_free(resume);
	return names;
}

/*
 * A number on the ring may be that of a stream which the guest has not named yet; and whose a
 * stream is cannot be told before it is named. All else, above all the broker's own services,
 * needs no guest.
 */
bool broker_must_wait(struct broker_client *client, const void *frame, size_t len)
{
	struct broker *broker = client->broker;
	struct frame f;

	if (broker->ready || !frame_load(&f, frame, len))
		return false;
	if (f.type == KRING_STREAM_RESUME)
		return names_streams((const uint8_t *)frame + FRAME_HEADER, len - FRAME_HEADER);
	/* Where there is no ring, it is refused. */
	return broker->ring && switch_needs_ring(broker->sb, &client->port, frame, len);
}

/* A client has a stream, which is none of the broker's own services. */
static void client_has(void *owner, const struct kring_resume *stream)
{
	struct broker_client *client = owner;
	struct broker *broker = client->broker;
	int code;

	if (client->doomed)
		return;
	if (client->named++ >= broker->args->streams_max) {
		client_drop(client, "it names more streams than there may be");
		return;
	}
	code = switch_take(broker->sb, &client->port, stream);
	if (code == -EINVAL)
		client_drop(client, "it names a stream that cannot be its own");
	else if (code)
		client->missing++;
}

/* That was all: what it has not got by now is not there. */
static void client_resumed(struct broker_client *client)
{
	struct broker *broker = client->broker;
	struct switch_news news;
	int code;

	client->resumed = true;
	code = switch_taken(broker->sb, &client->port, &news);
	if (!code) {
		tell_guest(broker, news.guest, news.guest_count);
		code = kring_mux_resume(client->mux, news.client, news.client_count, true);
	}
	if (code)
		client_drop(client, strerror(-code));
	else if (client->named)
		broker_event(broker, false, "resume",
			     "client %u: streams that go on: %zu, that are gone: %u",
			     client->serial, news.client_count, client->missing);
	if (!code)
		switch_news_free(&news);
	/* Ahead of what the guest is going to send. */
	client_output(client);
	if (broker->ring && switch_pending(broker->sb))
		link_again(broker->ring);
}

void broker_client_resume(struct broker_client *client, const void *message, size_t len)
{
	const struct kring_hello *hello = &client->hello;
	int code;

	if (!hello->said || !hello->resumes || !hello->peer_resumes || client->resumed) {
		client_drop(client, "it says RESUME, which is not its turn");
		return;
	}
	code = kring_mux_resumed(client->mux, message, len, client_has, client);
	if (code < 0)
		client_drop(client, "its RESUME makes no sense");
	else if (code && !client->doomed)
		client_resumed(client);
}
