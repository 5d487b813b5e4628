// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's switch: whose frames go where, and what hostile clients and guests cannot do.
 */
#include "switch_ports.h"

static void test_numbers(void)
{
	uint32_t first, second;

	setup();
	first = opened(&a, 1);
	second = opened(&b, 1);
	ok(first != second && first & 1 && second & 1, "two clients' stream 1 are two on the ring");
	ok(from_ring(FRAME(ACCEPT, second), "", 0) == SWITCH_RELAY && to == &b && out.stream == 1,
	   "ACCEPT goes to whose it is");
	ok(from_port(&a, FRAME(DATA, 1), "x", 1) == SWITCH_RELAY && out.stream == first &&
	   !out.offset, "DATA to the guest");
	ok(ring_data_at(first, 0, 100) == SWITCH_RELAY && to == &a && out.stream == 1 && credited,
	   "DATA to the client");
	ok(from_port(&b, FRAME(DATA, 3), "x", 1) == SWITCH_LOCAL, "nobody has another's stream");
	ok(from_ring(FRAME(DATA, 7), "x", 1) == SWITCH_LOCAL, "what is nobody's is local");
	ok(from_ring(FRAME(HELLO, 0), "x", 1) == SWITCH_LOCAL &&
	   from_port(&a, FRAME(PING, 0), "x", 1) == SWITCH_LOCAL, "so are connections");
	ok(port_opens(&a, 3, "broker.stat", 0, 0) == SWITCH_LOCAL, "so are services of the broker");
	ok(streams() == 2, "two streams");
	teardown();
}

static void test_end(void)
{
	uint32_t ring;

	setup();
	ring = opened(&a, 1);
	ok(from_port(&a, FRAME(CLOSE, 1), "", 0) == SWITCH_RELAY && streams() == 1, "one CLOSE");
	ok(from_ring(FRAME(CLOSE, ring, .flags = KRING_STREAM_MORE), "", 0) == SWITCH_RELAY &&
	   streams() == 1, "half of the other");
	ok(from_ring(FRAME(CLOSE, ring), "", 0) == SWITCH_RELAY && !streams() && to == &a &&
	   out.stream == 1, "both CLOSEs end it");
	ok(events[SWITCH_OPENED] == 1 && events[SWITCH_CLOSED] == 1, "it is told of");
	ring = opened(&a, 3);
	ok(from_port(&a, FRAME(RESET, 3), "", 0) == SWITCH_RELAY && out.stream == ring &&
	   !streams(), "RESET by the client");
	ok(from_ring(FRAME(DATA, ring), "x", 1) == SWITCH_LOCAL && !pulled(), "no more of it");
	ring = opened(&a, 5);
	ok(from_ring(FRAME(RESET, ring), "", 0) == SWITCH_RELAY && to == &a && out.stream == 5 &&
	   !streams(), "RESET by the guest");
	teardown();
}

static void test_gone(void)
{
	uint32_t first, second, other;

	setup();
	first = opened(&a, 1);
	second = opened(&a, 3);
	other = opened(&b, 1);
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	ok(ring_data_at(first, 0, 10) == SWITCH_DROP, "what comes for one that went is dropped");
	ok(switch_pending(sb) && pulled() == first && pulled() == second && !pulled(),
	   "the guest is told of each of its streams");
	ok(ring_data_at(other, 0, 10) == SWITCH_RELAY && to == &b, "others go on");
	first = opened(&a, 5);
	switch_port_lost(sb, &a, ECONNRESET, "gone");
	switch_port_lost(sb, &b, ECONNRESET, "gone");
	ok(resets == 2 && !streams() && !pulled(), "the guest has gone: clients are told");
	first = opened(&a, 7);
	second = opened(&b, 7);
	switch_end_all(sb, ESHUTDOWN, "over");
	ok(resets == 4 && a.count == 0 && b.count == 0, "all is over: clients are told");
	ok(!(pulled() != first && pulled() != second), "and the guest");
	switch_set_down(sb, "down");
	ok(port_opens(&a, 9, "exec", 0, 0) == SWITCH_DROP && resets == 5 && reset_error == EIO,
	   "nothing can be opened");
	switch_set_down(sb, NULL);
	ok(port_opens(&a, 11, "exec", 0, 0) == SWITCH_RELAY, "and again it can");
	teardown();
}

static void test_parent(void)
{
	uint32_t ring, listener;
	char message[64];
	size_t len = open_message(message, "accepted");

	setup();
	opened(&b, 1);
	listener = opened(&a, 1);
	ok(from_ring(FRAME(OPEN, 2, .offset = listener), message, len) == SWITCH_RELAY &&
	   to == &a && out.stream == 2 && out.offset == 1, "the guest opens a stream of a stream");
	ok(from_ring(FRAME(OPEN, 4, .offset = listener, .flags = KRING_STREAM_MORE), message,
		     len) == SWITCH_RELAY && out.stream == 4, "and one in two parts");
	ok(from_ring(FRAME(OPEN, 4, .offset = listener), message, len) == SWITCH_RELAY &&
	   out.stream == 4 && out.offset == 1, "the second part");
	ok(from_port(&a, FRAME(ACCEPT, 2), "", 0) == SWITCH_RELAY && out.stream == 2,
	   "it is accepted");
	ok(from_ring(FRAME(OPEN, 6), message, len) == SWITCH_LOCAL, "without a parent it is local");
	ok(from_ring(FRAME(OPEN, 6, .offset = 999), message, len) == SWITCH_LOCAL,
	   "with one that is not there too");
	ok(from_ring(FRAME(OPEN, 7, .offset = listener), message, len) == SWITCH_LOCAL,
	   "with a number that is not the guest's too");
	ok(port_opens(&a, 3, "exec", 1, 0) == SWITCH_RELAY && out.offset == listener,
	   "the parent's number is rewritten");
	ring = out.stream;
	ok(ring != listener && port_opens(&b, 3, "exec", 3, 0) == SWITCH_DROP &&
	   reset_port == &b && reset_number == 3 && reset_error == ENOENT,
	   "another's stream cannot be a parent");
	teardown();
}

static void test_limits(void)
{
	unsigned int i;

	setup();
	for (i = 0; i < PORT_STREAMS; i++)
		opened(&a, 2 * i + 1);
	ok(port_opens(&a, 101, "exec", 0, 0) == SWITCH_DROP && reset_port == &a &&
	   reset_number == 101 && reset_error == EAGAIN, "too many of one client's");
	for (i = 0; i < STREAMS_MAX - PORT_STREAMS; i++)
		opened(&b, 2 * i + 1);
	ok(port_opens(&b, 101, "exec", 0, 0) == SWITCH_DROP && reset_port == &b,
	   "too many of all");
	ok(port_opens(&b, 103, "exec", 0, KRING_STREAM_MORE) == SWITCH_DROP, "in parts, too");
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	ok(port_opens(&b, 105, "exec", 0, 0) == SWITCH_DROP,
	   "those that the guest does not know to be over count");
	while (pulled())
		;
	ok(port_opens(&b, 103, "exec", 0, KRING_STREAM_MORE) == SWITCH_DROP &&
	   port_opens(&b, 103, "exec", 0, 0) == SWITCH_DROP && !pulled(),
	   "the rest of what was refused is no request");
	ok(port_opens(&b, 103, "exec", 0, 0) == SWITCH_RELAY, "and then it can be opened");
	for (i = 0; i < 2 * REFUSED_MAX; i++)
		must(port_opens(&b, 1001 + 2 * i, "broker.x", 0, KRING_STREAM_MORE) ==
		     SWITCH_DROP);
	ok(b.refused == REFUSED_MAX, "those that a client does not go on with are bounded");
	teardown();
}

static void test_open_cut_short(void)
{
	uint32_t ring;

	setup();
	must(port_opens(&a, 1, "exec", 0, KRING_STREAM_MORE) == SWITCH_RELAY);
	ring = out.stream;
	ok(switch_wanted(sb, buf, buf_len), "a part of OPEN is to be sent");
	ok(from_ring(FRAME(RESET, ring), "", 0) == SWITCH_RELAY && out.stream == 1,
	   "the guest refuses before it has heard all");
	make(&FRAME(OPEN, ring), "", 0);
	ok(!switch_wanted(sb, buf, buf_len), "what still waited for the ring is not");
	ok(port_opens(&a, 1, "exec", 0, KRING_STREAM_MORE) == SWITCH_DROP &&
	   port_opens(&a, 1, "exec", 0, 0) == SWITCH_DROP && !streams(),
	   "the rest is no request");
	must(port_opens(&a, 3, "exec", 0, KRING_STREAM_MORE) == SWITCH_RELAY);
	ring = out.stream;
	ok(ring_data_at(ring, 1, 1) == SWITCH_DROP && pulled() == ring &&
	   port_opens(&a, 3, "exec", 0, 0) == SWITCH_DROP && !streams(),
	   "nor when the guest breaks the rules meanwhile");
	must(port_opens(&a, 5, "exec", 0, KRING_STREAM_MORE) == SWITCH_RELAY);
	switch_port_lost(sb, &a, ECONNRESET, "gone");
	ok(port_opens(&a, 5, "exec", 0, 0) == SWITCH_DROP && !streams(), "nor when it goes");
	must(port_opens(&a, 7, "exec", 0, KRING_STREAM_MORE) == SWITCH_RELAY);
	switch_end_all(sb, ESHUTDOWN, "over");
	ok(port_opens(&a, 7, "exec", 0, 0) == SWITCH_DROP && pulled() && !streams(),
	   "nor when all is over");
	must(port_opens(&a, 9, "exec", 0, KRING_STREAM_MORE) == SWITCH_RELAY);
	ring = out.stream;
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	ok(!a.count && pulled() == ring && !streams(), "a client goes in the midst of one");
	teardown();
}

static void test_unsent(void)
{
	uint32_t ring;

	setup();
	ring = opened(&a, 1);
	must(from_port(&a, FRAME(RESET, 1), "", 0) == SWITCH_RELAY);
	switch_unsent(sb, buf, buf_len, ECONNRESET, "gone");
	ok(ring_data_at(ring, 0, 1) == SWITCH_DROP && pulled() == ring && !pulled() && !streams(),
	   "a RESET that cannot be sent is made up for");
	ring = opened(&a, 3);
	must(from_ring(FRAME(CLOSE, ring), "", 0) == SWITCH_RELAY);
	must(from_port(&a, FRAME(CLOSE, 3), "", 0) == SWITCH_RELAY && !streams());
	switch_unsent(sb, buf, buf_len, ECONNRESET, "gone");
	ok(pulled() == ring && !streams(), "so is the last CLOSE");
	ring = opened(&a, 5);
	must(from_port(&a, FRAME(CLOSE, 5), "", 0) == SWITCH_RELAY);
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	switch_unsent(sb, buf, buf_len, ECONNRESET, "gone");
	ok(pulled() == ring && !pulled() && !streams(), "nobody is told twice");
	teardown();
}

static void test_credit(void)
{
	const uint32_t half = KRING_STREAM_WINDOW / 2;
	uint32_t ring;

	setup();
	ring = opened(&a, 1);
	ok(ring_data_at(ring, 0, half) == SWITCH_RELAY &&
	   ring_data_at(ring, half, half) == SWITCH_RELAY, "a window before any ACK");
	ok(ring_data_at(ring, 0, half) == SWITCH_DROP, "what has passed is dropped");
	ok(port_acks(&a, 1, half, KRING_STREAM_WINDOW) == SWITCH_RELAY && out.stream == ring,
	   "ACK");
	ok(ring_data_at(ring, half + 10, half) == SWITCH_RELAY && out.offset == 2 * half &&
	   buf_len == FRAME_HEADER + 10, "only what is new passes");
	ok(port_acks(&a, 1, half, 0) == SWITCH_RELAY &&
	   ring_data_at(ring, 2 * half + 10, half - 10) == SWITCH_RELAY,
	   "an allowance is not taken back");
	ok(ring_data_at(ring, 3 * half, 1) == SWITCH_DROP && reset_port == &a &&
	   reset_error == EPROTO && pulled() == ring && !streams(), "one byte more ends it");

	ring = opened(&a, 3);
	ok(ring_data_at(ring, 1, 1) == SWITCH_DROP && resets == 2 && pulled() == ring,
	   "so does a gap");
	ring = opened(&a, 5);
	ok(ring_data_at(ring, UINT64_MAX, 2) == SWITCH_DROP && resets == 3 && pulled() == ring,
	   "so does a position that wraps");
	ring = opened(&a, 7);
	ok(from_ring(FRAME(EOF, ring, .offset = 5), "", 0) == SWITCH_DROP && pulled() == ring,
	   "so does an EOF elsewhere");
	ring = opened(&a, 9);
	ok(from_ring(FRAME(EOF, ring), "", 0) == SWITCH_RELAY &&
	   from_ring(FRAME(EOF, ring), "", 0) == SWITCH_DROP, "EOF passes once");
	ok(ring_data_at(ring, 0, 1) == SWITCH_DROP && pulled() == ring, "nothing comes behind it");
	ring = opened(&a, 11);
	ok(from_ring(FRAME(CONTROL, ring, .channel = 4), zeros, half) == SWITCH_RELAY && credited &&
	   from_ring(FRAME(CONTROL, ring, .channel = 4, .offset = half), zeros, half + 1) ==
	   SWITCH_DROP && pulled() == ring, "CONTROL has credit of its own");
	teardown();
}

static void test_bad_clients(void)
{
	static const struct frame bad[] = {
		{ .type = 0, .stream = 1 },
		{ .type = KRING_STREAM_RESTORED, .stream = 0 },
		{ .type = KRING_STREAM_RESUME, .stream = 1 },
		{ .type = 14, .stream = 1 },
		{ .type = 255, .stream = 1 },
		{ .type = KRING_STREAM_HELLO, .stream = 1 },
		{ .type = KRING_STREAM_DATA, .stream = 0 },
		{ .type = KRING_STREAM_DATA, .stream = 1, .channel = 4 },
		{ .type = KRING_STREAM_EOF, .stream = 1, .channel = 4 },
		{ .type = KRING_STREAM_CONTROL, .stream = 1, .channel = 0 },
		{ .type = KRING_STREAM_ACK, .stream = 1, .channel = 5 },
		{ .type = KRING_STREAM_OPEN, .stream = 3, .channel = 1 },
		{ .type = KRING_STREAM_OPEN, .stream = 2 },
		{ .type = KRING_STREAM_OPEN, .stream = 1 },
		{ .type = KRING_STREAM_ACCEPT, .stream = 1 },
		{ .type = KRING_STREAM_DATA, .stream = 1, .flags = KRING_STREAM_MORE },
		{ .type = KRING_STREAM_CLOSE, .stream = 1, .flags = 2 },
	};
	enum switch_verdict v;
	unsigned int i;

	setup();
	opened(&a, 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		v = from_port(&a, bad[i], "", 0);
		ok(v == SWITCH_BAD, "type %u, stream %u: %s", bad[i].type, bad[i].stream, why);
	}
	for (i = 0; i < FRAME_HEADER; i++)
		must(switch_from_port(sb, &a, buf, i, &why) == SWITCH_BAD);
	ok(switch_from_port(sb, &a, buf, KRING_STREAM_FRAME_MAX + 1, &why) == SWITCH_BAD,
	   "frames of no length, or of too much");
	ok(from_port(&a, FRAME(ACK, 1), "abc", 3) == SWITCH_BAD, "ACK of three bytes");
	ok(port_acks(&a, 1, 1, 100) == SWITCH_BAD, "ACK of what was never sent");
	teardown();
}

static void test_bad_guests(void)
{
	char message[64];
	size_t len = open_message(message, "accepted");
	uint32_t ring;

	setup();
	ring = opened(&a, 1);
	ok(from_ring(FRAME(DATA, ring, .channel = 200), "x", 1) == SWITCH_DROP && resets == 1 &&
	   pulled() == ring, "a channel that is none ends that stream");
	ring = opened(&a, 3);
	ok(from_ring((struct frame){ .type = 77, .stream = ring }, "x", 1) == SWITCH_DROP &&
	   resets == 2 && pulled() == ring, "so does a type that is none");
	ring = opened(&a, 5);
	ok(from_ring(FRAME(OPEN, ring), "x", 1) == SWITCH_DROP && resets == 3 &&
	   pulled() == ring, "so does OPEN of the host's stream");
	ring = opened(&a, 7);
	must(from_ring(FRAME(OPEN, 2, .offset = ring), message, len) == SWITCH_RELAY);
	ok(from_ring(FRAME(ACCEPT, 2), "x", 1) == SWITCH_DROP && resets == 4 && pulled() == 2,
	   "so does ACCEPT of its own");
	must(from_ring(FRAME(OPEN, 2, .offset = ring), message, len) == SWITCH_RELAY);
	ok(from_ring(FRAME(OPEN, 2, .offset = ring), message, len) == SWITCH_DROP && resets == 5 &&
	   from_ring(FRAME(RESET, 2), "", 0) == SWITCH_DROP && !switch_pending(sb),
	   "so does OPEN twice; and where the guest ends it too, it need not be told");
	for (len = 0; len < FRAME_HEADER; len++)
		must(switch_from_ring(sb, buf, &len, &to, &credited) == SWITCH_LOCAL);
	ok(streams() == 1, "frames without a header harm nobody");
	teardown();
}

static void test_service(void)
{
	static const uint8_t good[] = { 0x0a, 4, 'e', 'x', 'e', 'c', 0x12, 0 };
	static const uint8_t cut[] = { 0x0a, 5, 'e', 'x', 'e', 'c' };
	static const uint8_t endless[] = { 0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1 };
	static const uint8_t rude[] = { 0x0a, 3, 'a', '\n', 'b' };
	char service[SWITCH_SERVICE];
	uint8_t message[80];

	switch_service(good, sizeof(good), service);
	ok(!strcmp(service, "exec"), "a service's name");
	switch_service(cut, sizeof(cut), service);
	ok(!*service, "one that is cut off");
	switch_service(endless, sizeof(endless), service);
	ok(!*service, "one without an end");
	switch_service(rude, sizeof(rude), service);
	ok(!strcmp(service, "a?b"), "one that a terminal would obey");
	message[0] = 0x0a;
	message[1] = 78;
	memset(message + 2, 'x', 78);
	switch_service(message, sizeof(message), service);
	ok(strlen(service) == SWITCH_SERVICE - 1, "a long one");
	switch_service(NULL, 0, service);
	ok(!*service, "none");
}

/* Whatever comes, limits hold, and what is told of as open is closed. */
static void test_random(void)
{
	uint64_t state = 88172645463325252ULL;
	bool good = true;
	struct frame f;
	unsigned int i;

	setup();
	for (i = 0; i < 2000000; i++) {
		f.type = random_below(&state, 16);
		f.channel = random_below(&state, 4) ? 0 : random_below(&state, 6);
		f.flags = random_below(&state, 8) ? 0 : random_below(&state, 3);
		f.offset = random_below(&state, 64) ? 0 : ~0ULL;
		if (!random_below(&state, 4))
			f.offset = random_below(&state, 130);
		if (random_below(&state, 2)) {
			f.stream = 101 + random_below(&state, next_odd - 95);
			if (random_below(&state, 2))
				f.stream = random_below(&state, 12);
			from_ring(f, "abcd", random_below(&state, 5));
		} else {
			f.stream = random_below(&state, 24);
			from_port(random_below(&state, 2) ? &a : &b, f, "\x0a\x02xy", 4);
		}
		if (!random_below(&state, 16))
			pulled();
		if (!random_below(&state, 4096))
			switch_port_fini(sb, &a, ECONNRESET, "gone");
		if (!random_below(&state, 8192))
			switch_clear(sb);
		/* Refused ones come on top. */
		expect(&good, streams() <= STREAMS_MAX + a.refused + b.refused);
		expect(&good, a.count <= PORT_STREAMS + a.refused);
	}
	switch_port_fini(sb, &a, ECONNRESET, "gone");
	switch_port_fini(sb, &b, ECONNRESET, "gone");
	while (pulled())
		;
	expect(&good, !streams());
	expect(&good, events[SWITCH_OPENED] + events[SWITCH_RESUMED] ==
	       events[SWITCH_PARKED] + events[SWITCH_CLOSED] + events[SWITCH_RESET]);
	ok(good && events[SWITCH_OPENED] > 1000, "two million random frames, %u streams",
	   events[SWITCH_OPENED]);
	teardown();
}

int main(void)
{
	test_numbers();
	test_end();
	test_gone();
	test_parent();
	test_limits();
	test_open_cut_short();
	test_unsent();
	test_credit();
	test_bad_clients();
	test_bad_guests();
	test_service();
	test_random();
	return tap_done();
}
