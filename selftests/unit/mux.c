// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The stream multiplexer: two of them back to back, and one against a peer that makes its
 * frames up.
 */
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <message.h>
#include <mux.h>

#include "random.h"
#include "tap.h"

#define FRAME_MAX	4096

static uint64_t state = 1;

/**
 * struct end - one side of a connection
 * @mux: its multiplexer
 * @other: where its frames go
 * @opened: the last stream that the peer has opened
 * @opens: how many
 * @parent: of the last
 * @request: of the last
 * @request_len: bytes
 * @accept: mask to accept with at once, 0: leave it
 * @strange: complaints
 * @pong: cookie of the last
 * @hellos: how many
 */
struct end {
	struct kring_mux *mux;
	struct end *other;
	struct kring_stream *opened;
	unsigned int opens;
	uint32_t parent;
	uint8_t *request;
	size_t request_len;
	unsigned int accept;
	unsigned int strange;
	uint64_t pong;
	unsigned int hellos;
};

/**
 * struct side - what one end has seen of one stream
 * @stream: NULL once it is over
 * @accepted: reply's bytes, -1: not accepted
 * @got: bytes of each channel
 * @sum: checksum of each channel
 * @ended: channels that have ended
 * @writable: times
 * @controls: messages
 * @control_bytes: of all messages
 * @closed: result's bytes, -1: not closed
 * @reset: errno of the reset, 0: none
 * @stall: take nothing
 */
struct side {
	struct kring_stream *stream;
	ssize_t accepted;
	uint64_t got[KRING_CHANNELS];
	uint64_t sum[KRING_CHANNELS];
	bool ended[KRING_CHANNELS];
	unsigned int writable;
	unsigned int controls;
	size_t control_bytes;
	ssize_t closed;
	int reset;
	bool stall;
};

static uint64_t checksum(uint64_t sum, const uint8_t *bytes, size_t len)
{
	while (len--)
		sum = (sum ^ *bytes++) * 0x100000001b3ULL;
	return sum;
}

static void take(struct side *side, unsigned int channel)
{
	const void *at;
	size_t len;

	while (!side->stall && (len = kring_stream_peek(side->stream, channel, &at))) {
		if (len > 1000)
			len = 1000;
		side->got[channel] += len;
		side->sum[channel] = checksum(side->sum[channel], at, len);
		kring_stream_consume(side->stream, channel, len);
	}
	side->ended[channel] = kring_stream_ended(side->stream, channel);
}

static void on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct side *side = kring_stream_owner(stream);

	(void)reply;
	side->accepted = len;
}

static void on_readable(struct kring_stream *stream, unsigned int channel)
{
	take(kring_stream_owner(stream), channel);
}

static void on_writable(struct kring_stream *stream, unsigned int channel)
{
	struct side *side = kring_stream_owner(stream);

	(void)channel;
	side->writable++;
}

static void on_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct side *side = kring_stream_owner(stream);

	(void)message;
	side->controls++;
	side->control_bytes += len;
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct side *side = kring_stream_owner(stream);

	(void)result;
	side->closed = len;
}

static void on_reset(struct kring_stream *stream, const void *bytes, size_t len)
{
	struct side *side = kring_stream_owner(stream);
	Kring__Error *error = kring_unpack(&kring__error__descriptor, bytes, len);

	side->reset = error && error->number ? error->number : -1;
	side->stream = NULL;
	kring_unpack_free(error);
}

static const struct kring_stream_ops stream_ops = {
	.accepted = on_accepted,
	.readable = on_readable,
	.writable = on_writable,
	.control = on_control,
	.closed = on_closed,
	.reset = on_reset,
};

static void side_init(struct side *side, struct kring_stream *stream)
{
	memset(side, 0, sizeof(*side));
	side->accepted = -1;
	side->closed = -1;
	side->stream = stream;
	if (stream)
		kring_stream_set_ops(stream, &stream_ops, side);
}

static void on_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
		      const void *request, size_t len)
{
	struct end *end = kring_mux_owner(mux);

	end->opened = stream;
	end->opens++;
	end->parent = parent;
	free(end->request);
	end->request = malloc(len + 1);
	if (len)
		memcpy(end->request, request, len);
	end->request_len = len;
	if (end->accept)
		kring_stream_accept(stream, NULL, 0, end->accept);
}

static void on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct end *end = kring_mux_owner(mux);

	(void)message;
	(void)len;
	end->hellos++;
}

static void on_pong(struct kring_mux *mux, uint64_t cookie)
{
	struct end *end = kring_mux_owner(mux);

	end->pong = cookie;
}

static void on_strange(struct kring_mux *mux, const char *text)
{
	struct end *end = kring_mux_owner(mux);

	end->strange++;
	printf("# %s\n", text);
}

static const struct kring_mux_ops mux_ops = {
	.opened = on_opened,
	.hello = on_hello,
	.pong = on_pong,
	.strange = on_strange,
};

static void end_open(struct end *end, enum kring_role role, struct end *other,
		     const struct kring_mux_args *like)
{
	struct kring_mux_args args = like ? *like : (struct kring_mux_args){ 0 };

	memset(end, 0, sizeof(*end));
	args.role = role;
	args.frame_max = FRAME_MAX;
	args.ops = &mux_ops;
	args.owner = end;
	end->mux = kring_mux_new(&args);
	end->other = other;
	must(end->mux);
}

static void end_close(struct end *end)
{
	kring_mux_free(end->mux);
	free(end->request);
}

static void pair_open(struct end *host, struct end *guest, const struct kring_mux_args *args)
{
	end_open(host, KRING_ROLE_HOST, guest, args);
	end_open(guest, KRING_ROLE_GUEST, host, args);
}

static void pair_close(struct end *host, struct end *guest)
{
	end_close(host);
	end_close(guest);
}

/* One frame from @end to its peer; false: it has none. */
static bool step(struct end *end)
{
	uint8_t frame[FRAME_MAX];
	size_t len = kring_mux_pull(end->mux, frame, sizeof(frame));

	if (len)
		must(!kring_mux_receive(end->other->mux, frame, len));
	return len;
}

static unsigned int settle(struct end *host)
{
	unsigned int frames = 0;
	bool moved;

	do {
		moved = step(host);
		moved |= step(host->other);
		frames += moved;
	} while (moved);
	return frames;
}

static struct kring_stream *open_stream(struct end *end, struct side *side, const char *request,
					unsigned int channels)
{
	side_init(side, NULL);
	side->stream = kring_mux_open(end->mux, 0, request, strlen(request), channels,
				      &stream_ops, side);
	return side->stream;
}

static uint64_t alive(const struct end *end)
{
	struct kring_mux_stats stats;

	kring_mux_stats(end->mux, &stats);
	return stats.streams;
}

static uint64_t memory(const struct end *end)
{
	struct kring_mux_stats stats;

	kring_mux_stats(end->mux, &stats);
	return stats.memory;
}

static void test_life(void)
{
	struct end host, guest;
	struct side client, server;

	pair_open(&host, &guest, NULL);
	open_stream(&host, &client, "request", 1);
	must(kring_stream_write(client.stream, 0, "early", 5) == 5);
	settle(&host);
	ok(guest.opens == 1 && guest.request_len == 7 && !memcmp(guest.request, "request", 7),
	   "OPEN arrives with its request");
	side_init(&server, guest.opened);
	ok(client.accepted < 0, "it is not accepted before it is");
	must(!kring_stream_accept(server.stream, "yes", 3, 1));
	settle(&host);
	ok(client.accepted == 3, "ACCEPT arrives with its reply");
	take(&server, 0);
	ok(server.got[0] == 5, "what was written before is there");

	kring_stream_eof(client.stream, 0);
	must(kring_stream_write(server.stream, 0, "answer", 6) == 6);
	settle(&host);
	ok(server.ended[0] && client.got[0] == 6 && !client.ended[0],
	   "EOF ends one direction alone");
	ok(!kring_stream_write(client.stream, 0, "more", 4), "nothing is sent after EOF");

	client.stall = true;
	must(kring_stream_write(server.stream, 0, "last", 4) == 4);
	must(!kring_stream_close(server.stream, "result", 6));
	settle(&host);
	ok(client.closed < 0, "CLOSE waits for the bytes before it");
	client.stall = false;
	take(&client, 0);
	settle(&host);
	ok(client.closed == 6 && client.got[0] == 10 && client.ended[0],
	   "and comes when they are consumed, with the result");
	ok(alive(&host) == 1 && alive(&guest) == 1, "the stream is alive until both have closed");
	must(!kring_stream_close(client.stream, NULL, 0));
	settle(&host);
	ok(!alive(&host) && !alive(&guest), "and over when both have");
	ok(!memory(&host) && !memory(&guest) && !host.strange && !guest.strange,
	   "nothing is left of it");
	pair_close(&host, &guest);
}

static void test_numbers(void)
{
	struct end host, guest;
	struct side side[3];
	unsigned int i;

	pair_open(&host, &guest, NULL);
	for (i = 0; i < 2; i++)
		open_stream(&host, &side[i], "", 1);
	ok(kring_stream_number(side[0].stream) == 1 && kring_stream_number(side[1].stream) == 3,
	   "a host's streams are odd");
	side_init(&side[2], NULL);
	side[2].stream = kring_mux_open(guest.mux, 3, "", 0, 1, &stream_ops, &side[2]);
	ok(kring_stream_number(side[2].stream) == 2, "a guest's are even");
	settle(&host);
	ok(host.parent == 3, "the parent arrives");
	ok(kring_mux_find(host.mux, 2) == host.opened, "a stream is found by its number");
	kring_mux_ping(host.mux, 4711);
	settle(&host);
	ok(host.pong == 4711, "PING is answered");
	pair_close(&host, &guest);
	ok(side[0].reset == ECANCELED, "whoever is left hears when the connection is freed");
}

static void test_window(void)
{
	static uint8_t bytes[1 << 20];
	struct kring_mux_args args = { .window = 128 << 10 };
	struct end host, guest;
	struct side client, server;
	size_t sent, n;

	pattern_fill(bytes, sizeof(bytes), 1);
	pair_open(&host, &guest, &args);
	guest.accept = 3;
	open_stream(&host, &client, "", 0);
	settle(&host);
	side_init(&server, guest.opened);
	server.stall = true;
	sent = kring_stream_write(client.stream, 0, bytes, sizeof(bytes));
	ok(sent == 128 << 10, "a window's worth is kept");
	settle(&host);
	ok(kring_stream_unacked(client.stream, 0) == sent,
	   "and all of it until it is acknowledged");
	ok(memory(&guest) >= 65536 && memory(&guest) < 80000,
	   "only the first window goes out while nothing is consumed");
	ok(kring_stream_write(client.stream, 1, "x", 1) == 1, "another channel has its own");
	settle(&host);
	ok(server.writable == 0 && server.got[1] == 0, "and arrives");
	server.stall = false;
	take(&server, 1);
	ok(server.got[1] == 1, "while the first is stalled");

	take(&server, 0);
	while (sent < sizeof(bytes)) {
		settle(&host);
		n = kring_stream_write(client.stream, 0, bytes + sent, sizeof(bytes) - sent);
		must(n);
		sent += n;
	}
	settle(&host);
	ok(server.got[0] == sizeof(bytes) &&
	   server.sum[0] == checksum(0, bytes, sizeof(bytes)), "all bytes arrive, in order");
	ok(client.writable > 2, "and the sender was told when there was room");
	ok(memory(&host) < 128 << 10, "what was acknowledged is not kept");
	pair_close(&host, &guest);
}

static void test_reserve(void)
{
	struct end host, guest;
	struct side client, server;
	void *at;
	size_t n;
	unsigned int i;

	pair_open(&host, &guest, NULL);
	guest.accept = 1;
	open_stream(&host, &client, "", 0);
	n = kring_stream_reserve(client.stream, 0, 65536, &at);
	ok(n == 65536, "what is wanted is reserved in one piece");
	memcpy(at, "0123456789", 10);
	kring_stream_commit(client.stream, 0, 10);
	ok(memory(&host) < 500, "and what was not used is given back");
	for (i = 0; i < 1000; i++) {
		must(kring_stream_reserve(client.stream, 0, 4096, &at));
		kring_stream_commit(client.stream, 0, 0);
	}
	ok(memory(&host) < 500, "also when it was used for nothing");
	settle(&host);
	side_init(&server, guest.opened);
	take(&server, 0);
	/* The queue's last chunk is reserved while all before it is acknowledged. */
	for (i = 0; i < 5000; i++) {
		n = kring_stream_reserve(client.stream, 0, 100, &at);
		must(n);
		settle(&host);
		memset(at, i, n);
		kring_stream_commit(client.stream, 0, n);
		settle(&host);
	}
	ok(server.got[0] == 10 + 5000 * 100, "reserved bytes stay good while others go");
	kring_stream_reset(client.stream, NULL, 0);
	settle(&host);
	ok(!memory(&host) && !memory(&guest), "no memory is left");
	pair_close(&host, &guest);
}

static void test_control(void)
{
	static uint8_t message[KRING_CONTROL_MAX + 1];
	struct end host, guest;
	struct side client, server;
	unsigned int i, taken;
	size_t bytes = 0;
	bool good = true;

	pair_open(&host, &guest, NULL);
	guest.accept = 1;
	open_stream(&host, &client, "", 0);
	settle(&host);
	side_init(&server, guest.opened);
	server.stall = true;
	while (kring_stream_write(client.stream, 0, message, sizeof(message)))
		;
	ok(!kring_stream_control(client.stream, "signal", 6), "a message is taken");
	settle(&host);
	ok(server.controls == 1, "and arrives though the data is stalled");
	ok(kring_stream_control(client.stream, message, sizeof(message)) == -EMSGSIZE,
	   "one that is too long is refused");
	for (taken = 0; !kring_stream_control(client.stream, message, 5000); taken++)
		;
	ok(taken > 10 && taken < 100, "a window of them waits, and no more");
	settle(&host);
	ok(client.writable, "then there is room again");
	for (i = 0; i < 2000; i++) {
		size_t len = i % 40 ? random_below(&state, 300) :
				      KRING_CONTROL_MAX - random_below(&state, 9);

		while (kring_stream_control(client.stream, message, len))
			settle(&host);
		bytes += len;
	}
	settle(&host);
	expect(&good, server.controls == 1 + taken + 2000);
	expect(&good, server.control_bytes == 6 + 5000 * taken + bytes);
	ok(good, "messages of all sizes arrive whole");
	pair_close(&host, &guest);
}

static void test_messages(void)
{
	static char request[KRING_MESSAGE_MAX + 2];
	struct end host, guest;
	struct side client;

	pair_open(&host, &guest, NULL);
	memset(request, 'x', KRING_MESSAGE_MAX);
	open_stream(&host, &client, request, 1);
	ok(client.stream, "a request of a megabyte is taken");
	settle(&host);
	ok(guest.request_len == KRING_MESSAGE_MAX && !memcmp(guest.request, request, 1000),
	   "and arrives over many frames");
	request[KRING_MESSAGE_MAX] = 'x';
	ok(!open_stream(&host, &client, request, 1) && errno == EMSGSIZE,
	   "a larger one is refused");
	must(!kring_stream_accept(guest.opened, request, KRING_MESSAGE_MAX, 1));
	settle(&host);
	ok(alive(&host) == 1, "so is the reply");
	pair_close(&host, &guest);
}

static void test_reset(void)
{
	struct end host, guest;
	struct side client, server;

	pair_open(&host, &guest, NULL);
	open_stream(&host, &client, "", 1);
	kring_stream_reset(client.stream, NULL, 0);
	ok(!settle(&host) && !guest.opens,
	   "a stream that was reset before it was sent is not sent");

	open_stream(&host, &client, "", 1);
	settle(&host);
	kring_reset(guest.opened, EACCES, "policy", "exec is not allowed");
	settle(&host);
	ok(client.reset == EACCES, "a refusal arrives with its reason");
	ok(!alive(&host) && !alive(&guest), "and ends the stream");

	guest.accept = 1;
	open_stream(&host, &client, "", 1);
	settle(&host);
	side_init(&server, guest.opened);
	kring_stream_write(client.stream, 0, "gone", 4);
	kring_reset(client.stream, EPIPE, "output", "nobody reads it");
	settle(&host);
	ok(server.reset == EPIPE, "the opener may reset it too");

	open_stream(&host, &client, "", 1);
	settle(&host);
	side_init(&server, guest.opened);
	kring_stream_close(client.stream, NULL, 0);
	while (kring_stream_write(server.stream, 0, "unwanted", 8))
		;
	settle(&host);
	ok(server.closed == 0 && kring_stream_unacked(server.stream, 0) < 65536,
	   "what nobody wants any more is taken and dropped");
	kring_stream_close(server.stream, NULL, 0);
	settle(&host);
	ok(!alive(&host) && !alive(&guest) && !memory(&host) && !memory(&guest),
	   "and the stream is over");

	open_stream(&host, &client, "", 1);
	settle(&host);
	side_init(&server, guest.opened);
	kring_mux_reset_all(guest.mux, NULL, 0);
	ok(server.reset && !alive(&guest), "all are over when the peer has gone");
	kring_stream_write(client.stream, 0, "hello?", 6);
	settle(&host);
	ok(client.reset == ENOENT, "whoever still sends is told");
	pair_close(&host, &guest);
}

static void test_limits(void)
{
	struct kring_mux_args args = { .streams_max = 4, .memory_max = 8 * 2 * 65536 };
	struct end host, guest;
	struct side side[100];
	unsigned int i, refused = 0;

	pair_open(&host, &guest, &args);
	for (i = 0; i < 6; i++)
		open_stream(&host, &side[i], "", 1);
	settle(&host);
	ok(alive(&guest) == 4 && side[4].reset == EMFILE && side[5].reset == EMFILE &&
	   !side[3].reset, "more streams than are allowed are refused");
	pair_close(&host, &guest);

	args.streams_max = 100;
	pair_open(&host, &guest, &args);
	for (i = 0; i < 100; i++)
		open_stream(&host, &side[i], "", 1);
	settle(&host);
	for (i = 0; i < 100; i++)
		refused += side[i].reset == ENOBUFS;
	ok(alive(&guest) == 8 && refused == 92, "so are those that memory would not do for");
	pair_close(&host, &guest);

	pair_open(&host, &guest, &args);
	for (i = 0; i < 100; i++) {
		open_stream(&host, &side[i], "", 1);
		settle(&host);
		if (!side[i].reset)
			kring_stream_accept(guest.opened, NULL, 0, 0);
	}
	ok(alive(&guest) == 100, "a stream that is sent nothing costs none");
	pair_close(&host, &guest);
}

/* Some streams, one of them stalled, one greedy: each of the others gets its share. */
static void test_fair(void)
{
	static uint8_t bytes[1 << 20];
	struct end host, guest;
	struct side client[10], server[10];
	uint8_t frame[FRAME_MAX];
	unsigned int count[10] = { 0 };
	struct kring_stream_header header;
	unsigned int i, least = -1, most = 0;

	pair_open(&host, &guest, NULL);
	guest.accept = 1;
	for (i = 0; i < 10; i++) {
		open_stream(&host, &client[i], "", 0);
		settle(&host);
		side_init(&server[i], guest.opened);
	}
	for (i = 0; i < 10; i++)
		must(kring_stream_write(client[i].stream, 0, bytes, sizeof(bytes)));
	for (i = 0; i < 100; i++) {
		must(kring_mux_pull(host.mux, frame, sizeof(frame)));
		memcpy(&header, frame, sizeof(header));
		count[le32toh(header.stream) / 2]++;
	}
	for (i = 0; i < 10; i++) {
		least = count[i] < least ? count[i] : least;
		most = count[i] > most ? count[i] : most;
	}
	ok(least == 10 && most == 10, "ten streams share a hundred frames: %u to %u", least, most);
	pair_close(&host, &guest);
}

/* What a peer makes up. */
static size_t forge(uint8_t *frame, uint8_t type, uint8_t channel, uint16_t flags,
		    uint32_t stream, uint64_t offset, size_t len)
{
	struct kring_stream_header header = {
		.type = type,
		.channel = channel,
		.flags = htole16(flags),
		.stream = htole32(stream),
		.offset = htole64(offset),
	};

	memcpy(frame, &header, sizeof(header));
	memset(frame + sizeof(header), 'f', len);
	return sizeof(header) + len;
}

static int give(struct end *end, uint8_t type, uint8_t channel, uint16_t flags, uint32_t stream,
		uint64_t offset, size_t len)
{
	static uint8_t frame[KRING_STREAM_FRAME_MAX + 100];

	return kring_mux_receive(end->mux, frame,
				 forge(frame, type, channel, flags, stream, offset, len));
}

static void test_violations(void)
{
	static const struct {
		const char *what;
		uint8_t type;
		uint8_t channel;
		uint64_t offset;
		size_t len;
	} table[] = {
		{ "a gap", KRING_STREAM_DATA, 0, 11, 1 },
		{ "a gap at the end of all positions", KRING_STREAM_DATA, 0, -1ULL, 1 },
		{ "a channel that is not wanted", KRING_STREAM_DATA, 1, 0, 1 },
		{ "a channel that there is none of", KRING_STREAM_DATA, 9, 0, 1 },
		{ "DATA on the channel of CONTROL", KRING_STREAM_DATA, 4, 0, 1 },
		{ "CONTROL on a channel of DATA", KRING_STREAM_CONTROL, 0, 0, 8 },
		{ "a CONTROL message that is too long", KRING_STREAM_CONTROL, 4, 0, 8 },
		{ "EOF before the bytes", KRING_STREAM_EOF, 0, 11, 0 },
		{ "EOF behind the bytes", KRING_STREAM_EOF, 0, 9, 0 },
		{ "ACK of what was not sent", KRING_STREAM_ACK, 0, 1, 4 },
		{ "ACK without a window", KRING_STREAM_ACK, 0, 0, 3 },
		{ "ACK of a channel that there is none of", KRING_STREAM_ACK, 5, 0, 4 },
		{ "a second OPEN", KRING_STREAM_OPEN, 0, 0, 0 },
		{ "ACCEPT by the opener", KRING_STREAM_ACCEPT, 0, 0, 0 },
		{ "an unknown type", 77, 0, 0, 0 },
		{ "type 0", 0, 0, 0, 0 },
	};
	struct end guest;
	struct side server, innocent;
	unsigned int i;

	end_open(&guest, KRING_ROLE_GUEST, NULL, NULL);
	guest.accept = 1;
	give(&guest, KRING_STREAM_OPEN, 0, 0, 1001, 0, 3);
	side_init(&innocent, guest.opened);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		uint32_t number = 2 * i + 1;
		bool good = true;

		give(&guest, KRING_STREAM_OPEN, 0, 0, number, 0, 3);
		side_init(&server, guest.opened);
		give(&guest, KRING_STREAM_DATA, 0, 0, number, 0, 10);
		expect(&good, server.got[0] == 10 && !server.reset);
		guest.strange = 0;
		give(&guest, table[i].type, table[i].channel, 0, number, table[i].offset,
		     table[i].len);
		expect(&good, server.reset == EPROTO);
		expect(&good, guest.strange == 1);
		expect(&good, !kring_mux_find(guest.mux, number));
		expect(&good, !innocent.reset);
		ok(good, "%s resets that stream", table[i].what);
	}

	give(&guest, KRING_STREAM_OPEN, 0, 0, 501, 0, 3);
	side_init(&server, guest.opened);
	server.stall = true;
	for (i = 0; i < 64; i++)
		give(&guest, KRING_STREAM_DATA, 0, 0, 501, 1024 * i, 1024);
	ok(!server.reset, "the first window may be filled");
	give(&guest, KRING_STREAM_DATA, 0, 0, 501, 65536 - 100, 100);
	give(&guest, KRING_STREAM_DATA, 0, 0, 501, 0, 1000);
	ok(!server.reset && alive(&guest) == 2, "what was sent before may come again");
	give(&guest, KRING_STREAM_DATA, 0, 0, 501, 65536, 1);
	ok(server.reset == EPROTO, "a byte beyond is too much");

	guest.accept = 0;
	give(&guest, KRING_STREAM_OPEN, 0, KRING_STREAM_MORE, 601, 0, 1000);
	give(&guest, KRING_STREAM_DATA, 0, 0, 601, 0, 1);
	ok(!kring_mux_find(guest.mux, 601), "DATA within an OPEN resets it");
	give(&guest, KRING_STREAM_OPEN, 0, KRING_STREAM_MORE, 603, 0, 1000);
	for (i = 0; kring_mux_find(guest.mux, 603); i++)
		give(&guest, KRING_STREAM_OPEN, 0, KRING_STREAM_MORE, 603, 0, 60000);
	ok(i == 18, "an OPEN without end is cut off");
	give(&guest, KRING_STREAM_OPEN, 0, KRING_STREAM_MORE, 603, 0, 1000);
	give(&guest, KRING_STREAM_OPEN, 0, 0, 603, 0, 3);
	ok(!kring_mux_find(guest.mux, 603), "and its rest is no OPEN of its own");
	guest.strange = 0;
	give(&guest, KRING_STREAM_OPEN, 0, 0, 2, 0, 1);
	give(&guest, KRING_STREAM_DATA, 0, 0, 0, 0, 1);
	kring_mux_receive(guest.mux, "short", 5);
	give(&guest, KRING_STREAM_DATA, 0, 0, 1001, 0, KRING_STREAM_FRAME_MAX);
	ok(guest.strange == 4 && alive(&guest) == 1, "what belongs to no stream is dropped");
	ok(!innocent.reset, "and the innocent stream has seen it all");
	end_close(&guest);
	ok(innocent.reset == ECANCELED, "until its end");
}

static void test_floods(void)
{
	struct kring_mux_args args = { .streams_max = 10 };
	struct end guest;
	uint8_t frame[FRAME_MAX];
	unsigned int i, taken = 0, answers = 0;
	bool good = true;

	end_open(&guest, KRING_ROLE_GUEST, NULL, &args);
	for (i = 0; i < 100000; i++)
		taken += !give(&guest, KRING_STREAM_OPEN, 0, 0, 2 * i + 1, 0, 100);
	ok(taken < 1000 && alive(&guest) == 10,
	   "of 100,000 OPENs nothing is taken any more once %u answers wait", taken - 10);
	while (kring_mux_pull(guest.mux, frame, sizeof(frame)))
		answers += frame[0] == KRING_STREAM_RESET;
	ok(answers == taken - 10, "each one that was taken is answered");
	for (i = 0; i < 100000; i++) {
		expect(&good, !give(&guest, KRING_STREAM_PING, 0, 0, 0, i, 64));
		expect(&good, !give(&guest, KRING_STREAM_DATA, 0, 0, 999999, i, 100));
		expect(&good, !give(&guest, KRING_STREAM_RESET, 0, 0, 999999, i, 100));
	}
	for (answers = 0; kring_mux_pull(guest.mux, frame, sizeof(frame)); answers++)
		;
	ok(good && answers < 200, "PINGs and strays do not queue up: %u answers", answers);
	end_close(&guest);
}

/* Two ends do random things, and both must agree on each byte. */
static void test_random(unsigned int rounds)
{
	enum { STREAMS = 40 };
	static struct side client[STREAMS], server[STREAMS];
	static uint64_t sums[2][STREAMS], lens[2][STREAMS];
	struct kring_mux_args args = { .window = 96 << 10 };
	struct end host, guest;
	uint8_t bytes[9000];
	unsigned int i, round, k;
	size_t n;
	bool good = true;

	pair_open(&host, &guest, &args);
	guest.accept = 1;
	memset(sums, 0, sizeof(sums));
	memset(lens, 0, sizeof(lens));
	for (i = 0; i < STREAMS; i++) {
		open_stream(&host, &client[i], "r", 1);
		settle(&host);
		side_init(&server[i], guest.opened);
	}
	for (round = 0; round < rounds; round++) {
		i = random_below(&state, STREAMS);
		k = random_below(&state, 2);
		n = 1 + random_below(&state, random_below(&state, 4) ? 100 : sizeof(bytes));
		pattern_fill(bytes, n, random_next(&state));
		n = kring_stream_write(k ? client[i].stream : server[i].stream, 0, bytes, n);
		sums[k][i] = checksum(sums[k][i], bytes, n);
		lens[k][i] += n;
		i = random_below(&state, STREAMS);
		server[i].stall = random_below(&state, 2);
		client[i].stall = random_below(&state, 2);
		take(&server[i], 0);
		take(&client[i], 0);
		for (n = random_below(&state, 8); n; n--)
			step(random_below(&state, 2) ? &host : &guest);
	}
	for (i = 0; i < STREAMS; i++) {
		server[i].stall = false;
		client[i].stall = false;
		take(&server[i], 0);
		take(&client[i], 0);
	}
	settle(&host);
	for (i = 0; i < STREAMS; i++) {
		expect(&good, server[i].got[0] == lens[1][i] && server[i].sum[0] == sums[1][i]);
		expect(&good, client[i].got[0] == lens[0][i] && client[i].sum[0] == sums[0][i]);
		expect(&good, !server[i].reset && !client[i].reset);
		kring_stream_close(client[i].stream, NULL, 0);
		kring_stream_close(server[i].stream, NULL, 0);
	}
	settle(&host);
	expect(&good, !alive(&host) && !alive(&guest) && !memory(&host) && !memory(&guest));
	expect(&good, !host.strange && !guest.strange);
	ok(good, "%u random steps on %u streams: every byte arrives", rounds, STREAMS);
	pair_close(&host, &guest);
}

/**
 * struct wire - frames on their way in one direction, which are lost when it breaks
 * @frames: each with its bytes
 * @first: that arrives next
 * @last: behind the last one
 */
struct wire {
	struct {
		uint8_t bytes[FRAME_MAX];
		size_t len;
	} frames[64];
	unsigned int first;
	unsigned int last;
};

static void wire_move(struct wire *wire, struct end *from)
{
	struct end *to = from->other;
	unsigned int i;

	if (wire->last - wire->first < 64 && random_below(&state, 4)) {
		i = wire->last % 64;
		wire->frames[i].len = kring_mux_pull(from->mux, wire->frames[i].bytes, FRAME_MAX);
		if (wire->frames[i].len)
			wire->last++;
	}
	if (wire->first != wire->last && random_below(&state, 4)) {
		i = wire->first++ % 64;
		must(!kring_mux_receive(to->mux, wire->frames[i].bytes, wire->frames[i].len));
	}
}

/* Both ends find each other again: what each has is told to the other. */
static void reconnect(struct end *host, struct end *guest)
{
	struct kring_stream *stream, *other, *next;
	struct kring_resume ours, theirs;

	kring_mux_park(host->mux);
	kring_mux_park(guest->mux);
	for (stream = kring_mux_next(host->mux, NULL); stream; stream = next) {
		next = kring_mux_next(host->mux, stream);
		other = kring_mux_find(guest->mux, kring_stream_number(stream));
		kring_stream_describe(stream, &ours);
		if (other)
			kring_stream_describe(other, &theirs);
		must(!kring_stream_resume(stream, other ? &theirs : NULL));
		if (other)
			must(!kring_stream_resume(other, &ours));
	}
	for (stream = kring_mux_next(guest->mux, NULL); stream; stream = next) {
		next = kring_mux_next(guest->mux, stream);
		if (!kring_mux_find(host->mux, kring_stream_number(stream)))
			must(!kring_stream_resume(stream, NULL));
	}
}

/*
 * The connection breaks again and again, at any moment of a stream's life: each byte and each
 * result arrives, once.
 */
static void test_resume(unsigned int lives)
{
	static struct wire there, back;
	static uint8_t bytes[20000], result[6000];
	struct end host, guest;
	struct side client, server;
	uint64_t sums[2], lens[2];
	unsigned int life, i, breaks = 0;
	bool good = true, closing;
	size_t n;

	pair_open(&host, &guest, NULL);
	for (life = 0; life < lives; life++) {
		unsigned int steps = 20 + random_below(&state, 400);

		memset(sums, 0, sizeof(sums));
		memset(lens, 0, sizeof(lens));
		guest.opened = NULL;
		side_init(&server, NULL);
		side_init(&client, NULL);
		client.stream = kring_mux_open(host.mux, 0, result, random_below(&state, 6000), 1,
					       &stream_ops, &client);
		closing = false;
		for (i = 0; alive(&host) || alive(&guest) || !closing; i++) {
			must(i < 100000);
			if (!random_below(&state, 50)) {
				there.first = there.last;
				back.first = back.last;
				reconnect(&host, &guest);
				breaks++;
			}
			wire_move(&there, &host);
			wire_move(&back, &guest);
			if (guest.opened && !server.stream && !closing) {
				server.stream = guest.opened;
				guest.opened = NULL;
				kring_stream_set_ops(server.stream, &stream_ops, &server);
				must(!kring_stream_accept(server.stream, result, 5000, 1));
			}
			n = 1 + random_below(&state, sizeof(bytes));
			pattern_fill(bytes, n, random_next(&state));
			if (i < steps && !random_below(&state, 8)) {
				n = kring_stream_write(client.stream, 0, bytes, n);
				sums[0] = checksum(sums[0], bytes, n);
				lens[0] += n;
			} else if (server.stream && i < steps && !random_below(&state, 8)) {
				n = kring_stream_write(server.stream, 0, bytes, n);
				sums[1] = checksum(sums[1], bytes, n);
				lens[1] += n;
			} else if (i == steps) {
				kring_stream_eof(client.stream, 0);
			}
			/* The server answers the end with its result, and the client that. */
			if (server.stream && server.ended[0] && i > steps) {
				must(!kring_stream_close(server.stream, result, 4321));
				server.stream = NULL;
				closing = true;
			}
			if (client.stream && client.closed >= 0) {
				must(!kring_stream_close(client.stream, NULL, 0));
				client.stream = NULL;
			}
		}
		expect(&good, server.got[0] == lens[0] && server.sum[0] == sums[0]);
		expect(&good, client.got[0] == lens[1] && client.sum[0] == sums[1]);
		expect(&good, client.accepted == 5000 && client.closed == 4321);
		expect(&good, !client.reset && !server.reset);
	}
	expect(&good, guest.opens >= lives && !host.strange && !guest.strange);
	expect(&good, !memory(&host) && !memory(&guest));
	ok(good, "%u streams over a connection that broke %u times: nothing lost, nothing twice",
	   lives, breaks);
	pair_close(&host, &guest);
}

/* This end's memory is from an earlier moment than the other's. */
static void test_resume_rollback(void)
{
	static uint8_t bytes[5000];
	struct kring_resume peer;
	struct end host, guest;
	struct side client, server;

	pair_open(&host, &guest, NULL);
	guest.accept = 1;
	open_stream(&host, &client, "", 1);
	settle(&host);
	side_init(&server, guest.opened);
	must(kring_stream_write(client.stream, 0, bytes, 1000) == 1000);
	settle(&host);

	/* The guest has 4000 bytes more than the host remembers to have sent. */
	kring_stream_describe(server.stream, &peer);
	peer.channels[0].received = 5000;
	peer.channels[0].limit = 90000;
	kring_mux_park(host.mux);
	ok(!kring_stream_room(client.stream, 7) && kring_stream_write(client.stream, 0, bytes, 10),
	   "a parked stream may be written to");
	must(!settle(&host));
	ok(kring_stream_resume(client.stream, &peer) == -ESTALE,
	   "nobody can have what was not sent");
	kring_stream_reset(client.stream, NULL, 0);
	client.stream = NULL;

	open_stream(&host, &client, "", 1);
	settle(&host);
	must(kring_stream_write(client.stream, 0, bytes, 5000) == 5000);
	settle(&host);
	give(&host, KRING_STREAM_ACK, 0, 0, kring_stream_number(client.stream), 3000, 4);
	kring_mux_park(host.mux);
	memset(&peer, 0, sizeof(peer));
	peer.accepted = true;
	peer.channels[0].received = 2999;
	ok(kring_stream_resume(client.stream, &peer) == -ESTALE,
	   "what was acknowledged cannot be sent again");
	peer.channels[0].received = 3000;
	ok(!kring_stream_resume(client.stream, &peer), "all else can");
	pair_close(&host, &guest);
}

static void test_unpack(void)
{
	Kring__Exec exec = KRING__EXEC__INIT, *copy;
	ProtobufCBinaryData argv[3] = { { 2, (uint8_t *)"ls" }, { 2, (uint8_t *)"-l" }, { 0 } };
	static uint8_t bomb[100000];
	size_t len, i;
	void *bytes;

	exec.argv = argv;
	exec.n_argv = 3;
	exec.user = "nobody";
	bytes = kring_pack(&exec.base, &len);
	copy = kring_unpack(&kring__exec__descriptor, bytes, len);
	ok(copy && copy->n_argv == 3 && copy->argv[1].len == 2 && !copy->argv[2].len &&
	   !strcmp(copy->user, "nobody"), "a message comes back as it was");
	kring_unpack_free(copy);
	for (i = 0; i < len; i++)
		kring_unpack_free(kring_unpack(&kring__exec__descriptor, bytes, i));
	free(bytes);
	for (i = 0; i < sizeof(bomb); i += 2)
		bomb[i] = 0x0a;
	copy = kring_unpack(&kring__exec__descriptor, bomb, sizeof(bomb));
	ok(!copy || copy->n_argv == sizeof(bomb) / 2,
	   "50,000 empty strings are decoded within bounds, or refused");
	kring_unpack_free(copy);
	memset(bomb, 0xff, sizeof(bomb));
	ok(!kring_unpack(&kring__exec__descriptor, bomb, sizeof(bomb)), "nonsense is refused");
	ok(!kring_unpack(&kring__exec__descriptor, bomb, KRING_MESSAGE_MAX + 1),
	   "so is what is too long");
}

static void on_hello_received(struct kring_mux *mux, const void *message, size_t len)
{
	kring_hello_received(kring_mux_owner(mux), mux, message, len);
}

static void test_hello(void)
{
	static const struct kring_mux_ops ops = { .hello = on_hello_received };
	static const char *const services[] = { "exec", "get", NULL };
	struct kring_hello hello[2];
	struct kring_mux *mux[2];
	struct side side;
	uint8_t frame[FRAME_MAX];
	unsigned int i, frames = 0;
	size_t len;

	for (i = 0; i < 2; i++) {
		struct kring_mux_args args = {
			.role = i ? KRING_ROLE_GUEST : KRING_ROLE_HOST, .frame_max = FRAME_MAX,
			.ops = &ops, .owner = &hello[i],
		};

		kring_hello_init(&hello[i], i ? "guest\x1b[31m 1" : "host 1");
		hello[i].services = services;
		hello[i].generation = 7 + i;
		mux[i] = kring_mux_new(&args);
		must(mux[i]);
	}
	must(!kring_hello_say(&hello[0], mux[0]));
	must(!kring_hello_say(&hello[1], mux[1]));
	for (i = 0; i < 20; i++) {
		len = kring_mux_pull(mux[i % 2], frame, sizeof(frame));
		if (len)
			kring_mux_receive(mux[!(i % 2)], frame, len);
		frames += len > 0;
	}
	/* The guest's first one said nothing to the host, which has asked again. */
	ok(frames == 5, "a Hello is answered, and an answer is not: %u", frames);
	ok(hello[0].said && hello[0].peer_generation == 8 &&
	   !strcmp(hello[0].peer_agent, "guest?[31m 1"),
	   "each knows the other, and its name can be shown");
	ok(kring_hello_received(&hello[0], mux[0], "\xff\xff", 2) == -EBADMSG &&
	   kring_hello_received(&hello[0], mux[0], "", 0) == -EPROTO, "a bad Hello is refused");

	/* A host that attaches anew finds what the guest has said to its predecessor. */
	kring_mux_free(mux[0]);
	kring_hello_init(&hello[0], "host 2");
	mux[0] = kring_mux_new(&(struct kring_mux_args){
		.role = KRING_ROLE_HOST, .frame_max = FRAME_MAX, .ops = &ops, .owner = &hello[0],
	});
	must(mux[0] && !kring_hello_say(&hello[0], mux[0]));
	side_init(&side, NULL);
	side.stream = kring_mux_open(mux[0], 0, "", 0, 1, &stream_ops, &side);
	must(!kring_hello_say(&hello[1], mux[1]));
	len = kring_mux_pull(mux[1], frame, sizeof(frame));
	kring_mux_receive(mux[0], frame, len);
	kring_mux_receive(mux[0], frame, forge(frame, KRING_STREAM_ACCEPT, 0, 0, 1, 0, 5));
	kring_mux_receive(mux[0], frame, forge(frame, KRING_STREAM_RESET, 0, 0, 1, 0, 5));
	ok(!hello[0].said && !side.reset && side.accepted < 0,
	   "what was in the ring before is not for it");
	for (i = 0; i < 20; i++) {
		len = kring_mux_pull(mux[i % 2], frame, sizeof(frame));
		if (len)
			kring_mux_receive(mux[!(i % 2)], frame, len);
	}
	ok(hello[0].said && hello[0].peer_instance == hello[1].instance &&
	   hello[1].peer_instance == hello[0].instance && !side.reset,
	   "from the answer to its own Hello on, all is");
	must(!kring_hello_say(&hello[1], mux[1]));
	len = kring_mux_pull(mux[1], frame, sizeof(frame));
	kring_mux_receive(mux[0], frame, len);
	ok(!side.reset, "the same one again changes nothing");
	hello[1].instance++;
	must(!kring_hello_say(&hello[1], mux[1]));
	len = kring_mux_pull(mux[1], frame, sizeof(frame));
	kring_mux_receive(mux[0], frame, len);
	ok(side.reset == ECONNRESET, "another one has no streams");
	kring_mux_free(mux[0]);
	kring_mux_free(mux[1]);
}

int main(void)
{
	test_life();
	test_numbers();
	test_window();
	test_reserve();
	test_control();
	test_messages();
	test_reset();
	test_limits();
	test_fair();
	test_violations();
	test_floods();
	test_random(200000);
	test_resume(300);
	test_resume_rollback();
	test_unpack();
	test_hello();
	return tap_done();
}
