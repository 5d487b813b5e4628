// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The service broker.stat.
 *
 * Streams come and go while the answer is on its way, as far as its reader lets it go on: so
 * it is of one moment, kept until it is sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker_client.h"

#define COUNTERS_MAX	48

/**
 * struct counters - of one message
 * @n: how many
 * @list: for protobuf-c
 * @of: what it points to
 */
struct counters {
	size_t n;
	struct Kring__Counter *list[COUNTERS_MAX];
	Kring__Counter of[COUNTERS_MAX];
};

struct stat_row {
	uint32_t stream;
	unsigned int client;
	pid_t pid;
	bool from_guest;
	uint64_t to_guest;
	uint64_t to_host;
	char service[SWITCH_SERVICE];
};

/**
 * struct stat_reply - one answer
 * @broker: whose
 * @stream: who asked
 * @rows: streams
 * @count: how many
 * @next: the first that was not sent
 */
struct stat_reply {
	struct broker *broker;
	struct kring_stream *stream;
	struct stat_row *rows;
	size_t count;
	size_t next;
};

static void count(struct counters *c, const char *name, uint64_t value)
{
	if (c->n == COUNTERS_MAX)
		return;
	kring__counter__init(&c->of[c->n]);
	c->of[c->n].name = (char *)name;
	c->of[c->n].value = value;
	c->list[c->n] = &c->of[c->n];
	c->n++;
}

static void reply_free(struct stat_reply *reply)
{
	free(reply->rows);
	free(reply);
}

static int send_row(struct stat_reply *reply, const struct stat_row *row)
{
	Kring__Info info = KRING__INFO__INIT;
	struct counters c = { 0 };

	count(&c, "stream", row->stream);
	count(&c, "client", row->client);
	count(&c, "pid", row->pid);
	count(&c, "from_guest", row->from_guest);
	count(&c, "to_guest", row->to_guest);
	count(&c, "to_host", row->to_host);
	info.agent = (char *)row->service;
	info.counters = c.list;
	info.n_counters = c.n;
	return kring_control(reply->stream, &info.base);
}

static void count_ring(struct broker *broker, struct counters *c)
{
	struct kring_host *host = link_region_host(broker->ring);
	struct kring_host_stats s;
	struct kring_stat region;

	kring_host_stats(host, &s);
	count(c, "ring.frames_to_guest", s.frames_sent);
	count(c, "ring.frames_to_host", s.frames_received);
	count(c, "ring.bytes_to_guest", s.bytes_sent);
	count(c, "ring.bytes_to_host", s.bytes_received);
	count(c, "ring.kicks_sent", s.kicks_sent);
	count(c, "ring.kicks_suppressed", s.kicks_suppressed);
	count(c, "ring.kicks_lost", s.kicks_lost);
	count(c, "ring.kicks_received", s.kicks_received);
	count(c, "ring.wakeups_rescued", s.wakeups_rescued);
	count(c, "ring.doorbell_connected", kring_host_connected(host));
	if (kring_stat(broker->args->region, &region, NULL))
		return;
	count(c, "ring.h2g_size", region.h2g.size);
	count(c, "ring.h2g_used", region.h2g.in_flight);
	count(c, "ring.g2h_size", region.g2h.size);
	count(c, "ring.g2h_used", region.g2h.in_flight);
}

static void send_result(struct stat_reply *reply)
{
	struct broker *broker = reply->broker;
	Kring__Info info = KRING__INFO__INIT;
	struct counters c = { 0 };
	struct switch_stats sw;
	struct kring_mux_stats mux;

	switch_stats(broker->sb, &sw);
	kring_mux_stats(broker->local->mux, &mux);
	count(&c, "clients", broker->client_count);
	count(&c, "clients_refused", broker->refused_clients);
	count(&c, "clients_lost", broker->lost_clients);
	count(&c, "memory", broker->memory);
	count(&c, "streams", sw.streams);
	count(&c, "streams_waiting", sw.waiting);
	count(&c, "streams_opened", sw.opened);
	count(&c, "streams_refused", sw.refused);
	count(&c, "streams_closed", sw.closed);
	count(&c, "streams_reset", sw.reset);
	count(&c, "streams_resumed", sw.resumed);
	count(&c, "streams_given_up", sw.given_up);
	count(&c, "violations", sw.violations);
	count(&c, "bytes_to_guest", sw.to_guest);
	count(&c, "bytes_to_host", sw.to_host);
	count(&c, "local.streams", mux.streams);
	count(&c, "local.bytes_to_guest", mux.bytes_sent);
	count(&c, "local.bytes_to_host", mux.bytes_received);
	count(&c, "local.strange", mux.strange);
	if (broker->ring)
		count_ring(broker, &c);
	info.agent = (char *)"kring broker " KRING_TOOL_VERSION;
	info.generation = broker->local->hello.generation;
	info.streams = sw.streams;
	info.counters = c.list;
	info.n_counters = c.n;
	kring_close(reply->stream, &info.base);
}

static void reply_go_on(struct kring_stream *stream, unsigned int channel)
{
	struct stat_reply *reply = kring_stream_owner(stream);
	int code;

	(void)channel;
	for (; reply->next < reply->count; reply->next++) {
		code = send_row(reply, &reply->rows[reply->next]);
		if (code == -EAGAIN)
			return;
		if (code) {
			reply_free(reply);
			kring_reset(stream, -code, "broker", "%s", strerror(-code));
			return;
		}
	}
	send_result(reply);
	reply_free(reply);
}

static void reply_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)stream;
	(void)result;
	(void)len;
}

static void reply_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	reply_free(kring_stream_owner(stream));
}

static const struct kring_stream_ops reply_ops = {
	.writable = reply_go_on,
	.closed = reply_on_closed,
	.reset = reply_on_reset,
};

static void add_row(void *owner, const struct switch_stream *stream)
{
	const struct broker_client *client = stream->port->owner;
	struct stat_reply *reply = owner;
	struct stat_row *row = &reply->rows[reply->count++];

	row->stream = stream->ring;
	row->client = client->serial;
	row->pid = client->pid;
	row->from_guest = stream->from_guest;
	row->to_guest = stream->to_guest;
	row->to_host = stream->to_host;
	memcpy(row->service, stream->service, sizeof(row->service));
}

void broker_stat_open(struct broker *broker, struct kring_stream *stream)
{
	struct stat_reply *reply = calloc(1, sizeof(*reply));
	struct switch_stats stats;

	switch_stats(broker->sb, &stats);
	if (reply)
		reply->rows = calloc(stats.streams + 1, sizeof(*reply->rows));
	if (!reply || !reply->rows || kring_accept(stream, NULL, 0)) {
		if (reply)
			reply_free(reply);
		kring_reset(stream, ENOMEM, "broker", "there is no memory");
		return;
	}
	reply->broker = broker;
	reply->stream = stream;
	switch_each(broker->sb, add_row, reply);
	kring_stream_set_ops(stream, &reply_ops, reply);
	reply_go_on(stream, KRING_CHANNEL_CONTROL);
}
