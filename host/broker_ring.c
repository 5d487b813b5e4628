// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's side of the ring: frames in, frames out, and a ring that cannot be used.
 *
 * A ring is poisoned by a guest that has lost its way. Until it has mended it, and the region
 * can be attached to again, there is nothing to talk to: streams wait, and what clients open
 * meanwhile is refused. The same goes for a region that was replaced by another one, which is
 * attached to at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker_client.h"
#include "frame.h"
#include "split.h"

/* Frames in each direction before other sources have their turn. */
#define BATCH		64

#define RETRY_NOW_MS	10
#define RETRY_MIN_MS	500
#define RETRY_MAX_MS	30000

static const char poisoned[] = "the ring to the guest cannot be used";

bool broker_ring_idle(const struct broker *broker)
{
	return broker->ring && !broker->out_len && TAILQ_EMPTY(&broker->turns) &&
	       !switch_pending(broker->sb);
}

void broker_ring_wait(struct broker *broker, struct turn *turn)
{
	if (turn->queued)
		return;
	turn->queued = true;
	TAILQ_INSERT_TAIL(&broker->turns, turn, link);
	if (broker->ring)
		link_again(broker->ring);
}

void broker_ring_forget(struct broker *broker, struct turn *turn)
{
	if (!turn->queued)
		return;
	turn->queued = false;
	TAILQ_REMOVE(&broker->turns, turn, link);
}

/* One frame of whose turn it is. 0: one was sent, -ENOENT: there is none, or of link_send(). */
static int send_turn(struct broker *broker, struct turn *turn)
{
	struct broker_client *client = turn->client;
	size_t done, len;
	int code;

	if (!client) {
		broker->out_len = kring_mux_pull(broker->local->mux, broker->out,
						 sizeof(broker->out));
		return broker->out_len ? 0 : -ENOENT;
	}
	if (!switch_wanted(broker->sb, client->hand, client->hand_len))
		return -ENOENT;
	done = client->hand_done;
	if (!done && client->hand_len <= broker->ring->frame_max) {
		code = link_send(broker->ring, client->hand, client->hand_len);
		done = client->hand_len - FRAME_HEADER;
	} else {
		len = split_next(client->hand, client->hand_len, &done,
				 broker->ring->frame_max, broker->piece);
		code = link_send(broker->ring, broker->piece, len);
	}
	if (code)
		return code;
	client->hand_done = done;
	return done < client->hand_len - FRAME_HEADER ? 0 : -ENOENT;
}

/* Of the local multiplexer, this is what comes behind all that it has to say of itself. */
static bool is_of_stream(const uint8_t *frame)
{
	switch (frame[0]) {
	case KRING_STREAM_HELLO:
	case KRING_STREAM_PING:
	case KRING_STREAM_PONG:
	case KRING_STREAM_RESET:
	case KRING_STREAM_RESTORED:
	case KRING_STREAM_RESUME:
		return false;
	}
	return true;
}

/*
 * What the guest has to be told of streams that go on comes before their clients' frames, whose
 * turn may have come.
 */
static bool pull_first(struct broker *broker)
{
	if (!broker->local_first)
		return false;
	broker->out_len = kring_mux_pull(broker->local->mux, broker->out, sizeof(broker->out));
	broker->local_first = broker->out_len && !is_of_stream(broker->out);
	return broker->out_len;
}

/* The broker's own frame first: it is small, or it has had its turn. */
static int send_out(struct broker *broker)
{
	int code = 0;

	if (broker->out_len)
		code = link_send(broker->ring, broker->out, broker->out_len);
	if (!code)
		broker->out_len = 0;
	return code;
}

/* 0: there is nothing more, 1: there is, -EAGAIN: the ring is full, else it is broken. */
static int ring_output(struct broker *broker)
{
	struct turn *turn;
	int i, code;

	for (i = 0; i < BATCH; i++) {
		code = send_out(broker);
		if (code)
			return code;
		broker->out_len = switch_pull(broker->sb, broker->out);
		if (broker->out_len || pull_first(broker))
			continue;
		turn = TAILQ_FIRST(&broker->turns);
		if (!turn)
			return 0;
		code = send_turn(broker, turn);
		if (code && code != -ENOENT)
			return code;
		broker_ring_forget(broker, turn);
		if (!code)
			broker_ring_wait(broker, turn);
		else if (turn->client)
			client_hand_empty(turn->client);
	}
	return 1;
}

/* To whom it belongs. -ENOBUFS: the local multiplexer has answers to send first. */
static int deliver(struct broker *broker)
{
	enum switch_verdict verdict = SWITCH_LOCAL;
	struct switch_port *port;
	size_t len = broker->in_len;
	bool credited;

	/* Until our Hello is answered, all else may be for a host that is gone. */
	if (!broker->local->hello.said && broker->in[0] != KRING_STREAM_HELLO) {
		broker->in_len = 0;
		return 0;
	}
	verdict = switch_from_ring(broker->sb, broker->in, &len, &port, &credited);
	if (verdict == SWITCH_RELAY)
		client_send(port->owner, broker->in, len, credited);
	if (verdict == SWITCH_LOCAL &&
	    kring_mux_receive(broker->local->mux, broker->in, broker->in_len))
		return -ENOBUFS;
	broker->in_len = 0;
	return 0;
}

static int ring_input(struct broker *broker)
{
	ssize_t n;
	int i;

	for (i = 0; i < BATCH; i++) {
		if (broker->in_len) {
			/* Refused before, so it is known whose it is. */
			if (kring_mux_receive(broker->local->mux, broker->in, broker->in_len))
				return -ENOBUFS;
			broker->in_len = 0;
		}
		n = link_recv(broker->ring, broker->in, sizeof(broker->in));
		if (n == -EMSGSIZE) {
			broker_event(broker, true, "strange",
				     "the guest has sent a frame that is too long for streams");
			continue;
		}
		if (n < 0)
			return n;
		broker->guest_frames++;
		broker->in_len = n;
		if (deliver(broker))
			return -ENOBUFS;
	}
	return 1;
}

static void ring_ready(struct link *link, int code, void *owner);

static int ring_attach(struct broker *broker, struct kring_error *err)
{
	const struct broker_args *args = broker->args;
	int code;

	code = link_region(&broker->ring, args->region, args->doorbell, err);
	if (code)
		return code;
	broker->frame_max = broker->ring->frame_max;
	return 0;
}

int broker_ring_start(struct broker *broker, struct kring_error *err)
{
	struct kring_host *host = link_region_host(broker->ring);
	struct kring_hello *hello = &broker->local->hello;
	int code;

	code = link_watch(broker->ring, broker->loop, ring_ready, broker);
	kring_mux_set_frame_max(broker->local->mux, broker->frame_max);
	hello->generation = kring_host_generation(host);
	hello->restored = kring_host_restored(host);
	hello->has_uuid = kring_host_uuid(host, hello->uuid);
	if (!code)
		code = kring_hello_say(hello, broker->local->mux);
	if (code) {
		snprintf(err->text, sizeof(err->text), "%.112s: %s", broker->args->region,
			 strerror(-code));
		link_close(broker->ring);
		broker->ring = NULL;
		return code;
	}
	switch_set_down(broker->sb, NULL);
	link_again(broker->ring);
	return 0;
}

static void retry_later(struct broker *broker)
{
	sd_event_source_set_time_relative(broker->ring_retry, broker->ring_pause * 1000);
	sd_event_source_set_enabled(broker->ring_retry, SD_EVENT_ONESHOT);
	broker->ring_pause *= 2;
	if (broker->ring_pause > RETRY_MAX_MS)
		broker->ring_pause = RETRY_MAX_MS;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct broker *broker = userdata;
	struct kring_error err;

	(void)source;
	(void)usec;
	if (ring_attach(broker, &err) || broker_ring_start(broker, &err))
		retry_later(broker);
	else
		broker_event(broker, false, "ring", "attached to %s again", broker->args->region);
	return 0;
}

static void ring_broken(struct broker *broker, int code)
{
	broker_event(broker, false, "ring", "%s: %s; trying again", broker->args->region,
		     link_fault(broker->ring, code));
	link_close(broker->ring);
	broker->ring = NULL;
	switch_set_down(broker->sb, poisoned);
	broker_guest_lost(broker, poisoned);
	broker->in_len = 0;
	kring_hello_anew(&broker->local->hello, broker->local->mux, poisoned);
	/* Where it is fenced, there is another region in its place. */
	if (code == -ESTALE)
		broker->ring_pause = RETRY_NOW_MS;
	retry_later(broker);
}

static void ring_ready(struct link *link, int code, void *owner)
{
	struct broker *broker = owner;
	int in, out;

	in = code ? code : ring_input(broker);
	out = code ? code : ring_output(broker);
	if (in < 0 && in != -EAGAIN && in != -ENOBUFS) {
		ring_broken(broker, in);
		return;
	}
	if (out < 0 && out != -EAGAIN) {
		ring_broken(broker, out);
		return;
	}
	/* It works. */
	if (in == 1)
		broker->ring_pause = RETRY_MIN_MS;
	link_flush(link);
	if (in == 1 || out == 1 || (in == -ENOBUFS && out != -EAGAIN))
		link_again(link);
}

int broker_ring_open(struct broker *broker, struct kring_error *err)
{
	int code;

	broker->ring_pause = RETRY_MIN_MS;
	code = sd_event_add_time_relative(broker->loop, &broker->ring_retry, CLOCK_MONOTONIC, 0, 0,
					  on_retry, broker);
	if (code >= 0)
		code = sd_event_source_set_enabled(broker->ring_retry, SD_EVENT_OFF);
	if (code < 0) {
		snprintf(err->text, sizeof(err->text), "event loop: %s", strerror(-code));
		return code;
	}
	return ring_attach(broker, err);
}

void broker_ring_close(struct broker *broker)
{
	broker->ring_retry = sd_event_source_disable_unref(broker->ring_retry);
	link_close(broker->ring);
	broker->ring = NULL;
}
