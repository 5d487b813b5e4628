// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Two ends that lose their connection again and again, by all that Hello, RESTORED and RESUME
 * say: every byte, every message and every result arrives, once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <message.h>
#include <mux.h>
#include <tap.h>

#include "random.h"

#define STREAMS		300
#define WIRE		4096

static uint64_t state = 0x5eed;

/**
 * struct talk - one end of one stream
 * @end: where
 * @stream: NULL: it is over here
 * @seed: of what is sent
 * @sent: bytes
 * @got: bytes that have arrived
 * @bad: one was not the one that it should be
 * @controls: messages that have arrived, each with its number
 * @accepted: how many times
 * @result: the peer's, 0: has not come
 * @error: errno of its reset
 * @done: kring_stream_on_done() was told, +1 where the peer has closed
 */
struct talk {
	struct end *end;
	struct kring_stream *stream;
	uint32_t seed;
	uint64_t sent;
	uint64_t got;
	bool bad;
	uint32_t controls;
	unsigned int accepted;
	uint32_t result;
	int error;
	int done;
};

struct frame {
	size_t len;
	uint8_t bytes[KRING_STREAM_FRAME_MIN];
};

/* A ring of frames on their way, which can be lost. */
struct wire {
	struct frame frames[WIRE];
	unsigned int head;
	unsigned int tail;
};

struct end {
	struct kring_mux *mux;
	struct kring_hello hello;
	struct wire out;
	struct end *peer;
	struct talk talks[STREAMS];
	unsigned int opened;
	unsigned int restored;
	unsigned int strange;
	unsigned int early;
};

static struct end host, guest;

static uint8_t byte_at(uint32_t seed, uint64_t position)
{
	return (position * 2654435761u + seed) >> 13;
}

static void talk_readable(struct kring_stream *stream, unsigned int channel)
{
	struct talk *talk = kring_stream_owner(stream);
	const uint8_t *at;
	size_t len, i;

	/* Not always, so that something is left when the connection breaks. */
	while (random_below(&state, 4) && (len = kring_stream_peek(stream, channel,
								   (const void **)&at))) {
		for (i = 0; i < len; i++)
			talk->bad |= at[i] != byte_at(~talk->seed, talk->got + i);
		talk->got += len;
		kring_stream_consume(stream, channel, len);
	}
}

static void talk_control(struct kring_stream *stream, const void *message, size_t len)
{
	struct talk *talk = kring_stream_owner(stream);
	uint32_t number = 0;

	if (len == sizeof(number))
		memcpy(&number, message, len);
	talk->bad |= number != ++talk->controls;
}

static void talk_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	struct talk *talk = kring_stream_owner(stream);

	(void)reply;
	talk->accepted++;
	talk->bad |= len != 2000;
}

static void talk_done(void *owner, bool closed)
{
	((struct talk *)owner)->done += 1 + closed;
}

static void talk_close(struct talk *talk)
{
	uint32_t result = talk->seed | 1;

	kring_stream_on_done(talk->stream, talk_done, talk);
	kring_stream_close(talk->stream, &result, sizeof(result));
	talk->stream = NULL;
}

static void talk_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct talk *talk = kring_stream_owner(stream);

	if (len == sizeof(talk->result))
		memcpy(&talk->result, result, len);
	talk_close(talk);
}

static void talk_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct talk *talk = kring_stream_owner(stream);
	Kring__Error *e = kring_unpack(&kring__error__descriptor, error, len);

	talk->error = e ? e->number : -1;
	talk->stream = NULL;
	kring_unpack_free(e);
}

static const struct kring_stream_ops talk_ops = {
	.accepted = talk_accepted,
	.readable = talk_readable,
	.control = talk_control,
	.closed = talk_closed,
	.reset = talk_reset,
};

static void on_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
		      const void *request, size_t len)
{
	struct end *end = kring_mux_owner(mux);
	Kring__Open *open = kring_unpack(&kring__open__descriptor, request, len);
	unsigned int i = open ? (unsigned int)atoi(open->service) : STREAMS;
	static const uint8_t reply[2000];
	struct talk *talk;

	(void)parent;
	end->opened++;
	/* Nothing is to be opened before a restore has been dealt with. */
	end->early += end->hello.restoring;
	if (i >= STREAMS || open->token.len != KRING_TOKEN_LEN) {
		kring_reset(stream, EINVAL, "test", "no");
	} else {
		talk = &end->talks[i];
		talk->bad |= !!talk->stream;
		talk->stream = stream;
		kring_stream_set_token(stream, open->token.data);
		kring_stream_set_ops(stream, &talk_ops, talk);
		kring_stream_accept(stream, reply, sizeof(reply), 1);
	}
	kring_unpack_free(open);
}

static void on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct end *end = kring_mux_owner(mux);

	must(kring_hello_received(&end->hello, mux, message, len) >= 0);
}

static void on_resume(struct kring_mux *mux, const void *message, size_t len)
{
	must(kring_mux_resumed(mux, message, len, NULL, NULL) >= 0);
}

static void guest_deals(struct end *end, const Kring__Restored *restored)
{
	uint64_t old = end->hello.known_generation;

	must(restored->uuid.len == KRING_UUID_LEN);
	kring_restored_dealt(&end->hello, restored->new_generation, restored->restored,
			     restored->uuid.data);
	must(!kring_restored_answer(end->mux, old, restored->new_generation));
}

static void on_restored(struct kring_mux *mux, uint64_t generation, const void *message,
			size_t len)
{
	struct end *end = kring_mux_owner(mux);
	Kring__Restored *restored = kring_unpack(&kring__restored__descriptor, message, len);

	must(restored && generation == restored->new_generation);
	end->restored++;
	if (kring_mux_role(mux) == KRING_ROLE_HOST)
		kring_restored_answered(&end->hello, mux);
	else
		guest_deals(end, restored);
	kring_unpack_free(restored);
}

static void on_strange(struct kring_mux *mux, const char *text)
{
	printf("# %s: %s\n", kring_mux_role(mux) == KRING_ROLE_HOST ? "host" : "guest", text);
	((struct end *)kring_mux_owner(mux))->strange++;
}

static const struct kring_mux_ops mux_ops = {
	.opened = on_opened,
	.hello = on_hello,
	.resume = on_resume,
	.restored = on_restored,
	.strange = on_strange,
};

static void end_init(struct end *end, enum kring_role role, struct end *peer)
{
	struct kring_mux_args args = {
		.role = role, .frame_max = KRING_STREAM_FRAME_MIN, .ops = &mux_ops, .owner = end,
	};

	memset(end, 0, sizeof(*end));
	end->peer = peer;
	end->mux = kring_mux_new(&args);
	must(end->mux);
	kring_hello_init(&end->hello, "test");
	end->hello.resumes = true;
	end->hello.generation = 1;
	if (role == KRING_ROLE_HOST) {
		end->hello.has_uuid = true;
		end->hello.uuid[0] = 1;
	}
}

static void pair_init(void)
{
	end_init(&host, KRING_ROLE_HOST, &guest);
	end_init(&guest, KRING_ROLE_GUEST, &host);
	must(!kring_hello_say(&guest.hello, guest.mux) && !kring_hello_say(&host.hello, host.mux));
}

static void pair_fini(void)
{
	kring_mux_free(host.mux);
	kring_mux_free(guest.mux);
}

/* One frame into the wire and one out of it, or none. */
static void end_move(struct end *end)
{
	struct wire *wire = &end->out;
	struct frame *frame = &wire->frames[wire->head % WIRE];

	if (wire->head - wire->tail < WIRE) {
		frame->len = kring_mux_pull(end->mux, frame->bytes, sizeof(frame->bytes));
		wire->head += frame->len > 0;
	}
	if (wire->head == wire->tail)
		return;
	frame = &wire->frames[wire->tail % WIRE];
	if (!kring_mux_receive(end->peer->mux, frame->bytes, frame->len))
		wire->tail++;
}

static bool quiet(const struct end *end)
{
	return end->out.head == end->out.tail && !kring_mux_pending(end->mux);
}

static void settle(void)
{
	unsigned int i;

	for (i = 0; i < 1000000 && !(quiet(&host) && quiet(&guest)); i++) {
		end_move(&host);
		end_move(&guest);
	}
	must(quiet(&host) && quiet(&guest));
}

/* What was on its way to the host is lost; what was on its way to the guest may come first. */
static void host_again(bool lose)
{
	guest.out.tail = guest.out.head;
	if (lose)
		host.out.tail = host.out.head;
	kring_hello_anew(&host.hello, host.mux, "broken");
	must(!kring_hello_say(&host.hello, host.mux));
}

static void guest_again(void)
{
	guest.out.tail = guest.out.head;
	host.out.tail = host.out.head;
	kring_hello_anew(&guest.hello, guest.mux, "broken");
	must(!kring_hello_say(&guest.hello, guest.mux));
}

static void restore(bool fork)
{
	host.hello.generation += 2;
	host.hello.restored = host.hello.generation - 1;
	host.hello.uuid[0] += fork;
	host_again(true);
	guest.hello.generation = host.hello.generation;
}

static void open_talk(struct end *end, unsigned int i)
{
	struct talk *talk = &end->talks[i];
	char service[8];
	struct kring_open_args args = {
		.service = service, .channels = 1, .ops = &talk_ops, .owner = talk,
	};

	snprintf(service, sizeof(service), "%u", i);
	talk->stream = kring_open_with(end->mux, &args);
	must(talk->stream);
}

static void talk_say(struct talk *talk)
{
	uint8_t bytes[3000];
	size_t i, n = 1 + random_below(&state, sizeof(bytes));

	for (i = 0; i < n; i++)
		bytes[i] = byte_at(talk->seed, talk->sent + i);
	talk->sent += kring_stream_write(talk->stream, 0, bytes, n);
}

static bool over(const struct end *end)
{
	struct kring_mux_stats stats;

	kring_mux_stats(end->mux, &stats);
	return !stats.streams && !stats.memory;
}

static void break_somehow(unsigned int *restores)
{
	switch (random_below(&state, 8)) {
	case 0:
	case 1:
		guest_again();
		break;
	case 2:
		restore(random_below(&state, 2));
		++*restores;
		break;
	default:
		host_again(random_below(&state, 2));
		break;
	}
}

/* Streams of both sides, all at once, and breaks in the midst of everything. */
static void test_breaks(unsigned int steps)
{
	unsigned int i, n, breaks = 0, restores = 0, opened = 0;
	uint32_t controls[2][STREAMS] = { 0 };
	struct end *end;
	bool good = true;

	pair_init();
	for (n = 0; n < STREAMS; n++) {
		host.talks[n].seed = n * 977;
		guest.talks[n].seed = ~host.talks[n].seed;
	}
	for (i = 0; i < 40 * steps && !(i > steps && opened == STREAMS && over(&host) &&
					over(&guest)); i++) {
		end = random_below(&state, 2) ? &host : &guest;
		end_move(end);
		if (i % 3 == 0 && random_below(&state, 60) == 0 && i < 20 * steps) {
			break_somehow(&restores);
			breaks++;
		}
		if (opened < STREAMS && random_below(&state, 20) == 0 && end->hello.said) {
			open_talk(end, opened);
			opened++;
		}
		n = random_below(&state, STREAMS);
		if (!end->talks[n].stream)
			continue;
		if (i < steps && random_below(&state, 3)) {
			talk_say(&end->talks[n]);
			controls[end == &guest][n]++;
			if (kring_stream_control(end->talks[n].stream, &controls[end == &guest][n],
						 sizeof(uint32_t)))
				controls[end == &guest][n]--;
		}
		talk_readable(end->talks[n].stream, 0);
		/* One of the two ends it, and the other answers. */
		if (i > steps && end->talks[n].stream && end == (n & 1 ? &host : &guest) &&
		    (end->talks[n].accepted || end->peer->talks[n].accepted))
			talk_close(&end->talks[n]);
	}
	must(opened == STREAMS);
	for (n = 0; n < STREAMS; n++) {
		const struct talk *a = &host.talks[n], *b = &guest.talks[n];
		/* Who has closed first may have left something unread. */
		bool first = n & 1;

		good &= !a->bad && !b->bad && !a->error && !b->error;
		good &= a->accepted + b->accepted == 1;
		good &= first ? b->got == a->sent : a->got == b->sent;
		good &= first ? b->controls == controls[0][n] : a->controls == controls[1][n];
		good &= first ? b->result && !a->result : a->result && !b->result;
		good &= a->done == 2 && b->done == 2;
	}
	ok(good, "%u streams, %u breaks, %u of them restores: nothing lost, nothing twice",
	   STREAMS, breaks, restores);
	ok(over(&host) && over(&guest) && !host.strange && !guest.strange,
	   "nothing is left, and nothing was strange");
	ok(!guest.early && guest.restored >= 1 && restores > 10,
	   "the guest was told of restores %u times, before anything was opened", guest.restored);
	pair_fini();
}

static void test_replaced(void)
{
	struct talk *asked = &host.talks[0], *open = &host.talks[1], *fresh = &host.talks[2];

	pair_init();
	settle();
	open_talk(&host, 1);
	settle();
	/* Its OPEN was sent, and what became of it is not known. */
	open_talk(&host, 0);
	end_move(&host);
	host.out.tail = host.out.head;
	kring_mux_free(guest.mux);
	end_init(&guest, KRING_ROLE_GUEST, &host);
	must(!kring_hello_say(&guest.hello, guest.mux));
	settle();
	ok(open->error == ECONNRESET && !open->stream,
	   "a stream of a guest that was replaced is over");
	ok(asked->error == EOWNERDEAD && !asked->stream,
	   "so is one that it may have begun with: it is not asked for twice");
	open_talk(&host, 2);
	settle();
	ok(fresh->accepted == 1 && guest.opened == 1, "the new one serves");
	ok(!guest.restored && guest.hello.has_uuid, "and need not be told of restores");

	/* The guest goes on, and a host that knows of nothing is there. */
	kring_mux_free(host.mux);
	end_init(&host, KRING_ROLE_HOST, &guest);
	must(!kring_hello_say(&host.hello, host.mux));
	settle();
	ok(guest.talks[2].error == ECONNRESET && over(&guest),
	   "what a new host does not have is over at the guest");
	pair_fini();
}

static void test_no_resume(void)
{
	pair_init();
	host.hello.resumes = false;
	settle();
	open_talk(&host, 0);
	settle();
	host_again(true);
	settle();
	ok(host.talks[0].error == ECONNRESET && guest.talks[0].error == ECONNRESET,
	   "where one side does not resume, streams end with the connection");
	pair_fini();
}

static void test_hold(void)
{
	pair_init();
	open_talk(&host, 0);
	must(!kring_stream_control(host.talks[0].stream, NULL, 0));
	end_move(&host);
	ok(!kring_mux_pending(host.mux), "the owner of a region opens nothing before Hello");
	settle();
	ok(host.talks[0].accepted == 1, "then it does");
	kring_stream_hold(host.talks[0].stream, true);
	talk_say(&host.talks[0]);
	settle();
	ok(!guest.talks[0].got, "a stream that is held sends nothing");
	kring_stream_hold(host.talks[0].stream, false);
	settle();
	ok(kring_stream_unacked(host.talks[0].stream, 0) <= host.talks[0].sent, "and goes on");
	pair_fini();
}

static void test_garbage(void)
{
	Kring__Resume__Stream stream = KRING__RESUME__STREAM__INIT, *streams = &stream;
	Kring__Resume__Position position = KRING__RESUME__POSITION__INIT, *positions = &position;
	Kring__Resume resume = KRING__RESUME__INIT;
	size_t len;
	void *bytes;

	pair_init();
	settle();
	resume.streams = &streams;
	resume.n_streams = 1;
	bytes = kring_pack(&resume.base, &len);
	ok(kring_mux_resumed(host.mux, bytes, len, NULL, NULL) == -EBADMSG,
	   "a stream 0 is refused");
	free(bytes);
	stream.stream = 1;
	stream.positions = &positions;
	stream.n_positions = 1;
	position.channel = 5;
	bytes = kring_pack(&resume.base, &len);
	ok(kring_mux_resumed(host.mux, bytes, len, NULL, NULL) == -EBADMSG, "so is channel 5");
	free(bytes);
	stream.n_positions = 0;
	stream.token.data = (uint8_t *)"short";
	stream.token.len = 5;
	bytes = kring_pack(&resume.base, &len);
	ok(kring_mux_resumed(host.mux, bytes, len, NULL, NULL) == -EBADMSG, "so is a short token");
	free(bytes);
	ok(kring_mux_resumed(host.mux, "\xff", 1, NULL, NULL) == -EBADMSG, "so is nonsense");
	open_talk(&host, 0);
	settle();
	kring_mux_park(host.mux);
	stream.token.data = (uint8_t *)"0123456789abcdef";
	stream.token.len = KRING_TOKEN_LEN;
	bytes = kring_pack(&resume.base, &len);
	ok(!kring_mux_resumed(host.mux, bytes, len, NULL, NULL) && !kring_mux_pending(host.mux),
	   "who does not know the token does not resume");
	free(bytes);
	pair_fini();
}

int main(void)
{
	test_hold();
	test_replaced();
	test_no_resume();
	test_garbage();
	test_breaks(60000);
	return tap_done();
}
