// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's switch: streams that go on over another connection, and what hostile clients and
 * guests cannot make of that.
 */
#include "switch_ports.h"

#define WINDOW	KRING_STREAM_WINDOW

/* What one end has: of a stream whose token is made of one byte. */
static struct kring_resume has(uint32_t number, uint8_t token, uint32_t parent)
{
	struct kring_resume resume = { .number = number, .parent = parent };
	unsigned int i;

	memset(resume.token, token, sizeof(resume.token));
	for (i = 0; i < SWITCH_CHANNELS; i++)
		resume.channels[i].limit = WINDOW;
	return resume;
}

static int guest_has(uint32_t number, uint8_t token, uint32_t parent)
{
	struct kring_resume resume = has(number, token, parent);

	return switch_orphan(sb, &resume);
}

static int client_has(struct switch_port *port, uint32_t number, uint8_t token)
{
	struct kring_resume resume = has(number, token, 0);

	return switch_take(sb, port, &resume);
}

/* Both ends know; how many streams that were. */
static size_t told(struct switch_port *port)
{
	struct switch_news news;
	size_t count;

	must(!switch_taken(sb, port, &news));
	count = news.client_count;
	switch_news_free(&news);
	return count;
}

static unsigned int waiting(void)
{
	struct switch_stats stats;

	switch_stats(sb, &stats);
	return stats.waiting;
}

static void test_goes_on(void)
{
	struct kring_resume guest = has(101, 7, 0), client = has(5, 7, 0);
	struct switch_news news;

	setup();
	guest.accepted = true;
	guest.channels[0].received = 300;
	guest.channels[0].limit = 1000;
	client.accepted = true;
	client.channels[1].received = 20;
	client.channels[1].limit = WINDOW + 20;
	client.channels[2].ended = true;
	ok(!switch_orphan(sb, &guest) && waiting() == 1 && streams() == 1, "the guest has one");
	ok(ring_data_at(101, 0, 1) == SWITCH_DROP && !resets && !switch_pending(sb),
	   "nobody is there to take of it");
	ok(opened(&b, 1) != 101, "its number is not given to another one");
	ok(!switch_take(sb, &a, &client) && !waiting() && events[SWITCH_RESUMED] == 1 &&
	   a.count == 1, "its client asks for it");
	ok(ring_data_at(101, 0, 1) == SWITCH_DROP &&
	   from_port(&a, FRAME(DATA, 5), "x", 1) == SWITCH_DROP &&
	   port_acks(&a, 5, 1 << 20, 1) == SWITCH_DROP, "nothing passes before both ends know");

	must(!switch_taken(sb, &a, &news));
	ok(news.guest_count == 1 && news.guest[0].number == 101 && news.guest[0].accepted &&
	   news.guest[0].channels[1].received == 20 && news.guest[0].channels[2].ended,
	   "the guest is told what the client has");
	ok(news.client_count == 1 && news.client[0].number == 5 &&
	   news.client[0].token[15] == 7 && news.client[0].channels[0].received == 300 &&
	   news.client[0].channels[0].limit == 1000, "and the client what the guest has");
	switch_news_free(&news);
	ok(!told(&a), "once");

	ok(from_port(&a, FRAME(DATA, 5, .offset = 300), "x", 1) == SWITCH_RELAY &&
	   out.stream == 101, "DATA to the guest");
	ok(from_ring(FRAME(DATA, 101, .channel = 1, .offset = 10), zeros, 30) == SWITCH_RELAY &&
	   to == &a && out.stream == 5 && out.offset == 20 && buf_len == FRAME_HEADER + 20,
	   "DATA to the client, from where it is");
	ok(from_ring(FRAME(EOF, 101, .channel = 2), "", 0) == SWITCH_DROP, "an end that it has");
	ok(from_ring(FRAME(DATA, 101, .channel = 1, .offset = 40), zeros, WINDOW - 20) ==
	   SWITCH_RELAY && !resets, "as far as it has allowed");
	ok(from_ring(FRAME(DATA, 101, .channel = 1, .offset = WINDOW + 20), zeros, 1) ==
	   SWITCH_DROP && resets == 1 && pulled() == 101, "and not a byte more");
	teardown();
}

static void test_closed(void)
{
	struct kring_resume resume;

	setup();
	resume = has(101, 1, 0);
	resume.closed = true;
	must(!switch_orphan(sb, &resume) && !client_has(&a, 1, 1) && told(&a) == 1);
	ok(from_ring(FRAME(CLOSE, 101), "", 0) == SWITCH_RELAY && !a.count && !streams(),
	   "the guest had the client's CLOSE: its own is the last");
	must(!guest_has(103, 2, 0));
	resume = has(3, 2, 0);
	resume.closed = true;
	must(!switch_take(sb, &a, &resume) && told(&a) == 1);
	ok(from_ring(FRAME(CLOSE, 103), "", 0) == SWITCH_DROP && a.count == 1 &&
	   from_port(&a, FRAME(CLOSE, 3), "", 0) == SWITCH_RELAY && !streams(),
	   "the client had the guest's: so is that");
	ok(events[SWITCH_CLOSED] == 2, "it is told of");
	teardown();
}

static void test_strange_guest(void)
{
	struct kring_resume absent = has(109, 9, 0);
	unsigned int i;

	setup();
	must(!guest_has(101, 1, 0));
	absent.absent = true;
	ok(switch_orphan(sb, &absent) == -EINVAL, "what is absent waits for nobody");
	ok(guest_has(0, 9, 0) == -EINVAL && guest_has(103, 0, 0) == -EINVAL,
	   "one without a number, or without a token, waits for nobody");
	ok(guest_has(101, 9, 0) == -EEXIST, "a number twice");
	ok(guest_has(103, 1, 0) == -EEXIST, "a token twice");
	opened(&a, 1);
	ok(guest_has(next_odd - 2, 9, 0) == -EEXIST, "a number that is in use");
	for (i = 2; streams() < STREAMS_MAX; i++)
		must(!guest_has(1000 + 2 * i, i, 101));
	ok(guest_has(2001, 99, 0) == -ENOSPC && streams() == STREAMS_MAX, "too many");
	ok(port_opens(&b, 1, "exec", 0, 0) == SWITCH_DROP && reset_error == EAGAIN,
	   "those that wait leave no room for others");
	ok(from_ring(FRAME(RESET, 1004), "", 0) == SWITCH_DROP && !pulled() &&
	   waiting() == STREAMS_MAX - 2, "the guest ends one");
	ok(client_has(&a, 4, 2) == -ENOENT, "nobody can have it any more");
	teardown();
}

static void test_strange_client(void)
{
	struct kring_resume none = has(1, 0, 0);
	unsigned int i;

	setup();
	must(!guest_has(101, 1, 0) && !guest_has(102, 2, 0));
	ok(client_has(&a, 1, 3) == -ENOENT && switch_take(sb, &a, &none) == -ENOENT && !a.count,
	   "who does not know a token gets nothing");
	ok(client_has(&a, 0, 1) == -EINVAL, "nor who has no number for it");
	ok(client_has(&a, 2, 1) == -EINVAL && client_has(&a, 1, 2) == -EINVAL,
	   "nor who says that the other side has opened it");
	opened(&a, 1);
	ok(client_has(&a, 1, 1) == -EINVAL, "nor with a number that is in use");
	ok(!client_has(&a, 3, 1) && client_has(&b, 3, 1) == -ENOENT && !b.count,
	   "a stream has one client");
	ok(told(&b) == 0 && told(&a) == 1, "the other one learns nothing");
	for (i = 0; a.count < PORT_STREAMS; i++)
		opened(&a, 11 + 2 * i);
	ok(client_has(&a, 2, 2) == -ENOSPC && waiting() == 1, "too many of one client's");
	ok(!client_has(&b, 2, 2), "which another one may still have");
	teardown();
}

static void test_absent(void)
{
	struct kring_resume gone = has(1, 1, 0);

	setup();
	gone.absent = true;
	ok(!switch_take(sb, &a, &gone) && !switch_pending(sb), "a client has lost what nobody has");
	must(!guest_has(101, 1, 0));
	ok(!switch_take(sb, &a, &gone) && !waiting() && !a.count && pulled() == 101 && !streams(),
	   "a client has lost one: the guest is told");
	teardown();
}

static void test_parents(void)
{
	char message[64];
	size_t len = open_message(message, "accepted");
	struct switch_news news;
	unsigned int i;
	bool good = true;

	setup();
	must(!guest_has(101, 1, 0) && !guest_has(2, 2, 101) && !guest_has(4, 3, 101) &&
	     !guest_has(103, 4, 0) && !guest_has(6, 5, 103));
	must(!client_has(&a, 8, 2) && !client_has(&a, 1, 1));
	ok(from_ring(FRAME(OPEN, 10, .offset = 101), message, len) == SWITCH_LOCAL,
	   "the guest opens none for a client that has not said all");
	must(!switch_taken(sb, &a, &news));
	ok(news.client_count == 2 && news.guest_count == 3 && waiting() == 2,
	   "a stream, one that belongs to it, and one that the client has not heard of");
	for (i = 0; i < news.guest_count; i++) {
		expect(&good, news.guest[i].absent == (news.guest[i].number == 4));
		expect(&good, news.guest[i].absent ||
		       news.guest[i].parent == (news.guest[i].number == 2 ? 101 : 0));
	}
	for (i = 0; i < news.client_count; i++)
		expect(&good, news.client[i].parent == (news.client[i].number == 8 ? 1 : 0));
	ok(good, "each is told in numbers of its own");
	switch_news_free(&news);
	ok(from_ring(FRAME(OPEN, 4, .offset = 101), message, len) == SWITCH_RELAY && to == &a &&
	   out.stream == 10 && out.offset == 1, "which the guest may open again, behind others");
	ok(from_port(&a, FRAME(ACCEPT, 8), "", 0) == SWITCH_RELAY && out.stream == 2 &&
	   from_ring(FRAME(ACCEPT, 2), "", 0) == SWITCH_DROP && reset_number == 8,
	   "it is the client that accepts what the guest has opened");
	ok(!told(&b) && waiting() == 2, "those of others wait for them");
	ok(client_has(&b, 10, 77) == -ENOENT, "a number of one that is not there");
	must(!client_has(&b, 2, 5));
	must(!switch_taken(sb, &b, &news));
	ok(news.client_count == 1 && !news.client[0].parent && waiting() == 1,
	   "one whose parent is not there goes on without");
	switch_news_free(&news);
	ok(from_ring(FRAME(CLOSE, 6), "", 0) == SWITCH_RELAY && to == &b && out.stream == 2,
	   "and belongs to who has asked for it");
	must(!guest_has(105, 6, 0) && !client_has(&b, 5, 6) && told(&b) == 1);
	ok(from_ring(FRAME(OPEN, 12, .offset = 105), message, len) == SWITCH_RELAY && to == &b &&
	   out.stream == 12, "numbers that it has named are not given again");
	teardown();
}

static void test_two_clients(void)
{
	struct switch_news news;

	setup();
	must(!guest_has(101, 1, 0) && !guest_has(2, 2, 101) && !guest_has(103, 3, 0) &&
	     !guest_has(4, 4, 103));
	must(!client_has(&a, 1, 1) && !client_has(&b, 1, 3) && !client_has(&a, 6, 4));
	ok(told(&b) == 1 && waiting() == 1, "one says all while another one has not");
	must(!switch_taken(sb, &a, &news));
	ok(news.client_count == 2 && !news.client[0].parent && !news.client[1].parent &&
	   news.guest_count == 3 && !waiting(), "a parent that is another's is none");
	switch_news_free(&news);
	teardown();
}

static void test_between(void)
{
	setup();
	must(!guest_has(101, 1, 0) && !client_has(&a, 1, 1));
	ok(from_ring(FRAME(RESET, 101), "", 0) == SWITCH_RELAY && to == &a && out.stream == 1 &&
	   !told(&a) && !streams(), "the guest ends one that is asked for");
	must(!guest_has(103, 2, 0) && !client_has(&a, 3, 2));
	ok(from_port(&a, FRAME(RESET, 3), "", 0) == SWITCH_RELAY && out.stream == 103 &&
	   !told(&a) && !streams(), "or the client does");
	must(!guest_has(105, 3, 0) && !client_has(&a, 5, 3));
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	ok(pulled() == 105 && !streams(), "or goes");
	must(!guest_has(107, 4, 0) && !client_has(&a, 7, 4));
	switch_port_lost(sb, &a, ECONNRESET, "gone");
	ok(!pulled() && !streams() && reset_number == 7, "or the guest goes");
	teardown();
}

static void test_given_up(void)
{
	struct switch_stats stats;

	setup();
	opened(&a, 1);
	must(!guest_has(201, 1, 0) && !guest_has(202, 2, 201) && !client_has(&a, 3, 1));
	ok(switch_give_up(sb, ETIMEDOUT, "nobody came") == 1 && !waiting() && a.count == 2 &&
	   pulled() == 202 && !pulled(), "nobody comes: the guest is told");
	ok(client_has(&a, 2, 2) == -ENOENT, "who comes too late finds nothing");
	must(!guest_has(204, 3, 201));
	switch_end_all(sb, ESHUTDOWN, "over");
	ok(!waiting() && a.count == 0 && pulled() && pulled() && pulled() && !pulled(),
	   "all is over: those that wait, too");
	switch_stats(sb, &stats);
	ok(stats.given_up == 2 && stats.resumed == 1, "they are counted");
	teardown();
}

static void test_clear(void)
{
	uint32_t ring;

	setup();
	must(!guest_has(201, 1, 0) && !guest_has(203, 2, 0) && !client_has(&a, 3, 1));
	ring = opened(&a, 1);
	opened(&b, 1);
	must(port_opens(&b, 3, "exec", 0, KRING_STREAM_MORE) == SWITCH_RELAY);
	must(from_port(&b, FRAME(RESET, 1), "", 0) == SWITCH_RELAY);
	opened(&b, 5);
	must(ring_data_at(out.stream, 1, 1) == SWITCH_DROP && switch_pending(sb));
	resets = 0;
	switch_clear(sb);
	ok(!streams() == !b.refused && !waiting() && !a.count && !resets && !pulled(),
	   "the connection is lost: nobody is told of anything");
	ok(events[SWITCH_PARKED] == 3, "but the log");
	ok(port_opens(&b, 3, "exec", 0, 0) == SWITCH_DROP && !streams(),
	   "the rest of an OPEN is no request");
	ok(ring_data_at(ring, 0, 1) == SWITCH_LOCAL, "nothing is known of any");
	ok(!guest_has(ring, 9, 0) && !client_has(&b, 7, 9) && told(&b) == 1 &&
	   ring_data_at(ring, 0, 1) == SWITCH_RELAY && to == &b, "and the guest has them again");
	teardown();
}

static void test_needs_ring(void)
{
	static const struct {
		struct frame frame;
		const char *service;
		bool needs;
	} frames[] = {
		{ FRAME(OPEN, 3), "exec", true },
		{ FRAME(OPEN, 3), "broker.stat", false },
		{ FRAME(OPEN, 3), "", true },
		{ FRAME(OPEN, 1), "exec", false },
		{ FRAME(OPEN, 3, .channel = 1), "exec", false },
		{ FRAME(OPEN, 0), "exec", false },
		{ FRAME(DATA, 3), "exec", false },
		{ FRAME(HELLO, 0), "exec", false },
	};
	char message[64];
	unsigned int i;
	bool good = true;

	setup();
	opened(&a, 1);
	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		make(&frames[i].frame, message, open_message(message, frames[i].service));
		expect(&good, switch_needs_ring(sb, &a, buf, buf_len) == frames[i].needs);
	}
	for (i = 0; i < FRAME_HEADER; i++)
		expect(&good, !switch_needs_ring(sb, &a, buf, i));
	ok(good, "a client's own OPEN needs the ring, and nothing else does");
	teardown();
}

/* Any order of it all; numbers and tokens are few, so that they meet. */
static void random_step(uint64_t *state)
{
	struct switch_port *port = random_below(state, 2) ? &a : &b;
	struct kring_resume resume;
	struct frame f = {
		.type = random_below(state, 14), .stream = 101 + random_below(state, 20),
		.offset = random_below(state, 4) ? 0 : random_below(state, 200),
	};

	resume = has(101 + random_below(state, 20), random_below(state, 12),
		     random_below(state, 2) ? 101 + random_below(state, 20) : 0);
	switch (random_below(state, 16)) {
	case 0:
	case 1:
		switch_orphan(sb, &resume);
		break;
	case 2:
	case 3:
	case 4:
		resume.absent = !random_below(state, 16);
		resume.number = random_below(state, 16);
		switch_take(sb, port, &resume);
		break;
	case 5:
		told(port);
		break;
	case 6:
		if (!random_below(state, 16))
			switch_clear(sb);
		else if (!random_below(state, 16))
			switch_give_up(sb, ETIMEDOUT, "nobody came");
		else if (!random_below(state, 16))
			switch_end_all(sb, ESHUTDOWN, "over");
		break;
	case 7:
		if (!random_below(state, 32))
			switch_port_fini(sb, port, ECONNRESET, "gone");
		else if (!random_below(state, 16))
			switch_port_lost(sb, port, ECONNRESET, "gone");
		break;
	case 8:
	case 9:
		pulled();
		break;
	case 10:
	case 11:
	case 12:
		from_ring(f, "abcd", random_below(state, 5));
		break;
	default:
		f.stream = random_below(state, 16);
		from_port(port, f, "\x0a\x02xy", 4);
	}
	/* So that numbers of the ring meet, too. */
	if (next_odd > 121)
		next_odd = 101;
}

static void test_random(void)
{
	uint64_t state = 88172645463325252ULL;
	bool good = true;
	unsigned int i;

	setup();
	for (i = 0; i < 2000000; i++) {
		random_step(&state);
		expect(&good, streams() <= STREAMS_MAX + a.refused + b.refused);
		expect(&good, a.count - a.refused <= PORT_STREAMS &&
		       b.count - b.refused <= PORT_STREAMS);
		expect(&good, waiting() <= STREAMS_MAX);
	}
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	switch_port_fini(sb, &b, ECONNRESET, "gone");
	switch_give_up(sb, ETIMEDOUT, "nobody came");
	while (pulled())
		;
	expect(&good, !streams() && !waiting());
	expect(&good, events[SWITCH_OPENED] + events[SWITCH_RESUMED] ==
	       events[SWITCH_PARKED] + events[SWITCH_CLOSED] + events[SWITCH_RESET]);
	ok(good && events[SWITCH_RESUMED] > 1000, "two million random steps, %u streams taken up",
	   events[SWITCH_RESUMED]);
	teardown();
}

int main(void)
{
	test_goes_on();
	test_closed();
	test_strange_guest();
	test_strange_client();
	test_absent();
	test_parents();
	test_two_clients();
	test_between();
	test_given_up();
	test_clear();
	test_needs_ring();
	test_random();
	return tap_done();
}
