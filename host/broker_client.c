// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One client of the broker. It may be anybody's program: what it sends is checked, and what it
 * does not read is bounded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker_client.h"
#include "frame.h"

/* Frames of one client in a row. */
#define BATCH		8

/* Streams to the broker itself, of one client. */
#define OWN_STREAMS	16
#define OWN_MEMORY	(2 << 20)

static const char gone[] = "the client has gone";

static void client_watch(struct broker_client *client)
{
	uint32_t before = 0, events = 0;

	if (client->doomed)
		return;
	if (!client->hand_len && !client->early_len)
		events |= EPOLLIN;
	if (!outbox_empty(&client->outbox))
		events |= EPOLLOUT;
	/* Without any it would still be told of a hang-up, again and again. */
	if (!events && !client->early_len) {
		sd_event_source_set_enabled(client->io, SD_EVENT_OFF);
		return;
	}
	sd_event_source_get_io_events(client->io, &before);
	if (before != events)
		sd_event_source_set_io_events(client->io, events);
	sd_event_source_set_enabled(client->io, SD_EVENT_ON);
}

void client_drop(struct broker_client *client, const char *why)
{
	struct broker *broker = client->broker;

	if (client->doomed)
		return;
	client->doomed = true;
	broker_event(broker, false, "client", why ? "client %u was disconnected: %s" :
		     "client %u has gone%s", client->serial, why ? why : "");
	if (why)
		broker->lost_clients++;
	broker_ring_forget(broker, &client->turn);
	sd_event_source_set_enabled(client->io, SD_EVENT_OFF);
	broker->memory -= client->outbox.memory;
	outbox_clear(&client->outbox);
	broker_soon(broker);
}

void client_free(struct broker_client *client)
{
	struct broker *broker = client->broker;

	switch_port_fini(broker->sb, &client->port, ECONNRESET, gone);
	if (client->hand_len)
		switch_unsent(broker->sb, client->hand, client->hand_len, ECONNRESET, gone);
	if (broker->ring && switch_pending(broker->sb))
		link_again(broker->ring);
	broker_ring_forget(broker, &client->turn);
	TAILQ_REMOVE(&broker->clients, client, link);
	broker->client_count--;
	kring_mux_free(client->mux);
	sd_event_source_disable_unref(client->io);
	broker->memory -= client->outbox.memory;
	outbox_clear(&client->outbox);
	close(client->fd);
	free(client->held);
	free(client->early);
	free(client->hand);
	free(client);
}

/* Who has most waiting has read least. */
static void make_room(struct broker *broker)
{
	struct broker_client *client, *most = NULL;

	TAILQ_FOREACH(client, &broker->clients, link)
		if (!most || client->outbox.memory > most->outbox.memory)
			most = client;
	if (most)
		client_drop(most, "it does not read, and memory is short");
}

void client_send(struct broker_client *client, const void *frame, size_t len, bool credited)
{
	struct broker *broker = client->broker;
	size_t before = client->outbox.memory;
	int code;

	if (client->doomed)
		return;
	code = outbox_send(&client->outbox, client->fd, frame, len, credited);
	broker->memory += client->outbox.memory - before;
	if (code == -EOVERFLOW)
		client_drop(client, "it does not read");
	else if (code == -ENOMEM)
		client_drop(client, strerror(ENOMEM));
	else if (code)
		client_drop(client, NULL);
	else if (client->outbox.memory)
		client_watch(client);
	if (broker->memory > broker->args->memory_max)
		make_room(broker);
}

void client_output(struct broker_client *client)
{
	uint8_t *buf = client->broker->piece;
	size_t len;

	client->output = false;
	while (!client->doomed && (len = kring_mux_pull(client->mux, buf, KRING_STREAM_FRAME_MAX)))
		client_send(client, buf, len, false);
}

static void to_mux(struct broker_client *client, const void *frame, size_t len)
{
	int code = kring_mux_receive(client->mux, frame, len);

	/* At once: what it is told next of its streams makes no sense before our Hello. */
	client_output(client);
	if (!code || client->doomed)
		return;
	if (kring_mux_receive(client->mux, frame, len))
		client_drop(client, "it asks for more answers than can be kept");
}

static void client_ping(struct broker_client *client, const struct frame *f, const void *payload,
			size_t len)
{
	struct broker *broker = client->broker;
	struct client_ping *p;
	uint64_t now = 0;

	sd_event_now(broker->loop, CLOCK_MONOTONIC, &now);
	if (len > KRING_PING_MAX || !broker->local->hello.said)
		return;
	for (p = client->pings; p < client->pings + CLIENT_PINGS; p++)
		if (!p->cookie || now - p->since > 10000000)
			break;
	/* Those that are under way are enough. */
	if (p == client->pings + CLIENT_PINGS)
		return;
	p->cookie = (uint64_t)client->serial << 32 | ++client->ping_serial;
	p->since = now;
	p->offset = f->offset;
	p->len = len;
	memcpy(p->payload, payload, len);
	kring_mux_ping(broker->local->mux, p->cookie);
}

void client_pong(struct broker_client *client, uint64_t cookie)
{
	struct frame f = { .type = KRING_STREAM_PONG };
	uint8_t buf[FRAME_HEADER + KRING_PING_MAX];
	struct client_ping *p;

	for (p = client->pings; p < client->pings + CLIENT_PINGS; p++)
		if (p->cookie == cookie)
			break;
	if (p == client->pings + CLIENT_PINGS)
		return;
	p->cookie = 0;
	f.offset = p->offset;
	frame_store(&f, buf);
	memcpy(buf + FRAME_HEADER, p->payload, p->len);
	client_send(client, buf, FRAME_HEADER + p->len, false);
}

/* Its Hello need not wait any more. */
static void take_held(struct broker_client *client)
{
	void *held = client->held;

	client->held = NULL;
	if (held && !client->doomed)
		to_mux(client, held, client->held_len);
	free(held);
}

/* @kept gets a copy of a frame, in place of one before. */
static void client_keep(struct broker_client *client, uint8_t **kept, size_t *kept_len,
			const void *frame, size_t len)
{
	free(*kept);
	*kept_len = 0;
	*kept = malloc(len);
	if (!*kept) {
		client_drop(client, strerror(ENOMEM));
		return;
	}
	memcpy(*kept, frame, len);
	*kept_len = len;
}

/* What is of this connection alone, or of the broker's own services. */
static void client_local(struct broker_client *client, const uint8_t *buf, size_t len)
{
	struct frame f;

	if (!frame_load(&f, buf, len))
		return;
	if (f.type == KRING_STREAM_PING) {
		client_ping(client, &f, buf + FRAME_HEADER, len - FRAME_HEADER);
		return;
	}
	if (f.type == KRING_STREAM_HELLO && !client->broker->ready) {
		client_keep(client, &client->held, &client->held_len, buf, len);
		return;
	}
	/* The broker's own services need no guest. */
	if (f.type == KRING_STREAM_OPEN)
		take_held(client);
	to_mux(client, buf, len);
}

/* A frame for the ring, at once if it can be. */
static void client_relay(struct broker_client *client, const void *frame, size_t len)
{
	struct broker *broker = client->broker;

	if (!broker->ring)
		return;
	if (broker_ring_idle(broker) && !link_send(broker->ring, frame, len))
		return;
	client_keep(client, &client->hand, &client->hand_len, frame, len);
	client->hand_done = 0;
	if (client->hand_len)
		broker_ring_wait(broker, &client->turn);
}

void client_hand_empty(struct broker_client *client)
{
	if (!client->hand_len)
		return;
	free(client->hand);
	client->hand = NULL;
	client->hand_len = 0;
	client_watch(client);
}

/* Rewrites the frame. */
static void client_frame(struct broker_client *client, uint8_t *buf, size_t len)
{
	struct broker *broker = client->broker;
	const char *why;

	switch (switch_from_port(broker->sb, &client->port, buf, len, &why)) {
	case SWITCH_RELAY:
		client_relay(client, buf, len);
		break;
	case SWITCH_LOCAL:
		/* Its answers are pulled to where the frame is. */
		memcpy(broker->own, buf, len);
		client_local(client, broker->own, len);
		break;
	case SWITCH_DROP:
		break;
	case SWITCH_BAD:
		client_drop(client, why);
		break;
	}
}

/* One frame. false: there is none, or no more of this client. */
static bool client_read(struct broker_client *client)
{
	uint8_t *buf = client->broker->piece;
	ssize_t n;

	n = recv(client->fd, buf, KRING_STREAM_FRAME_MAX, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		client_drop(client, NULL);
		return false;
	}
	if (n > KRING_STREAM_FRAME_MAX) {
		client_drop(client, "it has sent a frame that is too long");
		return false;
	}
	if (broker_must_wait(client, buf, n))
		client_keep(client, &client->early, &client->early_len, buf, n);
	else
		client_frame(client, buf, n);
	return !client->doomed && !client->hand_len && !client->early_len;
}

static void take_early(struct broker_client *client)
{
	uint8_t *early = client->early;
	size_t len = client->early_len;

	client->early = NULL;
	client->early_len = 0;
	if (len && !client->doomed)
		client_frame(client, early, len);
	free(early);
}

void client_guest_hello(struct broker_client *client)
{
	struct local *local = client->broker->local;

	client->hello.agent = local->hello.peer_agent;
	client->hello.services = (const char *const *)local->guest_services;
	client->hello.generation = local->hello.peer_generation;
	client->hello.process = local->hello.peer_process;
	client->hello.resumes = local->hello.peer_resumes;
	memset(client->pings, 0, sizeof(client->pings));
	if (!client->held && client->hello.said)
		kring_hello_say(&client->hello, client->mux);
	take_held(client);
	take_early(client);
	client_watch(client);
}

static int client_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct broker_client *client = userdata;
	struct broker *broker = client->broker;
	size_t before = client->outbox.memory;
	int i, code;

	(void)source;
	if (revents & EPOLLOUT) {
		code = outbox_flush(&client->outbox, fd);
		broker->memory -= before - client->outbox.memory;
		if (code && code != -EAGAIN)
			client_drop(client, NULL);
	}
	/* While it is not read, that it has gone is all that can be told. */
	if (revents & (EPOLLHUP | EPOLLERR) && client->early_len)
		client_drop(client, NULL);
	if (revents & ~EPOLLOUT && !client->hand_len && !client->early_len) {
		for (i = 0; i < BATCH && !client->doomed && client_read(client); i++)
			;
		if (broker->ring)
			link_flush(broker->ring);
		if (client->output)
			client_output(client);
	}
	client_watch(client);
	return 0;
}

static void client_on_output(struct kring_mux *mux)
{
	struct broker_client *client = kring_mux_owner(mux);

	client->output = true;
	broker_soon(client->broker);
}

/* Frames to it are relayed as they are, so it has to take any. */
static void client_on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct broker_client *client = kring_mux_owner(mux);
	Kring__Hello *said = kring_unpack(&kring__hello__descriptor, message, len);
	bool small = said && said->frame_max && said->frame_max < KRING_STREAM_FRAME_MAX;

	kring_unpack_free(said);
	if (small)
		client_drop(client, "it does not take frames of the usual length");
	else if (kring_hello_received(&client->hello, mux, message, len) < 0)
		client_drop(client, "its Hello makes no sense");
}

static void client_on_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
			     const void *request, size_t len)
{
	struct broker_client *client = kring_mux_owner(mux);
	Kring__Open *open = kring_unpack(&kring__open__descriptor, request, len);

	(void)parent;
	if (open)
		broker_status_open(client->broker, stream, open->service);
	else
		kring_reset(stream, EPROTO, "broker", "the request makes no sense");
	kring_unpack_free(open);
}

static void client_on_resume(struct kring_mux *mux, const void *message, size_t len)
{
	broker_client_resume(kring_mux_owner(mux), message, len);
}

static const struct kring_mux_ops client_mux_ops = {
	.output = client_on_output,
	.opened = client_on_opened,
	.hello = client_on_hello,
	.resume = client_on_resume,
};

static struct broker_client *client_new(struct broker *broker, int fd)
{
	struct kring_mux_args args = {
		.role = KRING_ROLE_GUEST,
		.frame_max = KRING_STREAM_FRAME_MAX,
		.streams_max = OWN_STREAMS,
		.memory_max = OWN_MEMORY,
		.ops = &client_mux_ops,
	};
	struct broker_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	args.owner = client;
	client->broker = broker;
	client->fd = fd;
	client->turn.client = client;
	outbox_init(&client->outbox);
	switch_port_init(&client->port, client);
	client->mux = kring_mux_new(&args);
	if (!client->mux)
		goto free_client;
	if (sd_event_add_io(broker->loop, &client->io, fd, EPOLLIN, client_on_io, client) < 0)
		goto free_mux;
	return client;

free_mux:
	kring_mux_free(client->mux);
free_client:
	free(client);
	return NULL;
}

void client_accept(int fd, void *owner)
{
	struct broker *broker = owner;
	struct broker_client *client;
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (broker->client_count >= broker->args->clients_max) {
		broker->refused_clients++;
		broker_event(broker, false, "client",
			     "a client of pid %d was refused: there are %u already", cred.pid,
			     broker->client_count);
		close(fd);
		return;
	}
	client = client_new(broker, fd);
	if (!client) {
		broker_event(broker, false, "client", "a client was refused: no memory");
		close(fd);
		return;
	}
	client->serial = ++broker->client_serial;
	client->pid = cred.pid;
	client->uid = cred.uid;
	kring_hello_init(&client->hello, "kring broker " KRING_TOOL_VERSION);
	client->hello.streams_max = broker->args->streams_max;
	client->hello.resumes = true;
	client->hello.relays = true;
	TAILQ_INSERT_TAIL(&broker->clients, client, link);
	broker->client_count++;
	if (broker->ready)
		client_guest_hello(client);
	broker_event(broker, false, "client", "client %u has connected: pid %d, uid %u",
		     client->serial, client->pid, client->uid);
}
