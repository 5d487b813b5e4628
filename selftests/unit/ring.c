// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The ring algorithm, single threaded: each verb, each error, each fault.
 */
#include <string.h>

#include <linux/kring.h>
#include <kring/ring.h>

#include "random.h"
#include <tap.h>

#define SIZE	4096U
#define MAX	(SIZE / 2 - 8)

/* A ring with guard bytes before and behind its data, and both its sides. */
static struct memory {
	struct kring_producer_page producer;
	struct kring_consumer_page consumer;
	uint64_t before[8];
	uint8_t data[SIZE];
	uint8_t behind[64];
} mem;

static struct kring_ring geometry;
static struct kring_producer p;
static struct kring_consumer c;

static void ring_at(uint32_t head, uint32_t tail)
{
	memset(&mem, 0xa5, sizeof(mem));
	memset(&mem.producer, 0, sizeof(mem.producer));
	memset(&mem.consumer, 0, sizeof(mem.consumer));
	geometry = (struct kring_ring) {
		.head = &mem.producer.head,
		.want_space = &mem.producer.want_space,
		.tail = &mem.consumer.tail,
		.want_data = &mem.consumer.want_data,
		.data = mem.data,
		.size = SIZE,
		.header = sizeof(struct kring_frame_header),
		.align = KRING_FRAME_ALIGN,
		.max = MAX,
		.send_max = MAX,
	};
	mem.producer.head = cpu_to_le32(head);
	mem.consumer.tail = cpu_to_le32(tail);
}

static void ring_new(uint32_t at)
{
	ring_at(at, at);
	must(!kring_producer_attach(&p, &geometry));
	must(!kring_consumer_attach(&c, &geometry));
}

static bool guards_whole(void)
{
	size_t i;

	for (i = 0; i < sizeof(mem.before); i++)
		if (((uint8_t *)mem.before)[i] != 0xa5 || mem.behind[i] != 0xa5)
			return false;
	return true;
}

static int put(uint32_t len, uint32_t seed)
{
	struct kring_frame f;
	int err = kring_reserve(&p, len, &f);

	if (err)
		return err;
	pattern_fill(f.payload, len, seed);
	kring_commit(&p, &f);
	return 0;
}

static int send_frame(uint32_t len, uint32_t seed)
{
	int err = put(len, seed);

	if (!err)
		kring_submit(&p);
	return err;
}

/* 0 when the next frame is the one that was put with these. */
static int take(uint32_t len, uint32_t seed)
{
	struct kring_frame f;
	int err = kring_peek(&c, &f);

	if (err)
		return err;
	if (f.len != len || !pattern_check(f.payload, len, seed))
		return -EIO;
	kring_advance(&c, &f);
	return 0;
}

static int recv_frame(uint32_t len, uint32_t seed)
{
	int err = take(len, seed);

	if (!err)
		kring_release(&c);
	return err;
}

static void test_basics(void)
{
	struct kring_frame f;

	ring_new(0);
	ok(kring_peek(&c, &f) == -EAGAIN, "nothing to peek in an empty ring");
	ok(!kring_readable(&c) && kring_writable(&p), "an empty ring is writable only");
	ok(kring_reserve(&p, 0, &f) == -EINVAL, "a frame of 0 bytes is refused");
	ok(kring_reserve(&p, MAX + 1, &f) == -EMSGSIZE, "a frame of max + 1 bytes is refused");
	ok(kring_reserve(&p, UINT32_MAX, &f) == -EMSGSIZE, "a frame of 2^32 - 1 is refused");
	ok(!send_frame(1, 1) && !send_frame(8, 2) && !send_frame(9, 3), "send three frames");
	ok(le32_to_cpu(mem.producer.head) == 16 + 16 + 24, "they take 16, 16 and 24 bytes");
	ok(!recv_frame(1, 1) && !recv_frame(8, 2) && !recv_frame(9, 3), "receive them");
	ok(mem.consumer.tail == mem.producer.head, "tail is at head");
	ok(recv_frame(1, 1) == -EAGAIN, "and then there is none");

	must(!kring_reserve(&p, 100, &f));
	f.len = 5;
	pattern_fill(f.payload, 5, 9);
	kring_commit(&p, &f);
	kring_submit(&p);
	ok(!recv_frame(5, 9), "a frame may be committed shorter than it was reserved");
	ok(!kring_producer_check(&p) && !kring_consumer_check(&c), "own cursors are in place");
	ok(guards_whole(), "no byte outside the data was written");
}

static void test_bytes(void)
{
	static const uint8_t frame[16] = { 3, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c' };
	struct kring_frame f;

	ring_new(0);
	must(!kring_reserve(&p, 3, &f));
	memcpy(f.payload, "abc", 3);
	kring_commit(&p, &f);
	kring_submit(&p);
	ok(!memcmp(mem.data, frame, 11), "a frame is le32 len, le32 0, payload");
	kring_store_len(mem.data + 1, 0x84030201);
	ok(!memcmp(mem.data + 1, "\1\2\3\x84", 4) && kring_load_len(mem.data + 1) == 0x84030201,
	   "a length has four bytes, the lowest first, at any address");

	/* 40 bytes before the end, a frame of 48 in all: a skip, and the frame at the start */
	ring_new(SIZE - 40);
	must(!send_frame(40, 1));
	ok(kring_load_len(mem.data + SIZE - 40) == 0 && kring_load_len(mem.data) == 40,
	   "a frame that does not fit before the end is preceded by a skip");
	ok(le32_to_cpu(mem.producer.head) == SIZE + 48, "head counts the skip");
	ok(!recv_frame(40, 1), "and it is received");

	ring_new(SIZE - 48);
	must(!send_frame(40, 1));
	ok(kring_load_len(mem.data + SIZE - 48) == 40, "one that fits exactly needs no skip");
	ok(!recv_frame(40, 1), "and it is received");
}

static void test_largest(void)
{
	bool good = true;
	uint32_t at;

	for (at = 0; at < SIZE; at += KRING_FRAME_ALIGN) {
		ring_new(at);
		expect(&good, !send_frame(MAX, at));
		expect(&good, !recv_frame(MAX, at));
		expect(&good, recv_frame(MAX, at) == -EAGAIN);
		expect(&good, guards_whole());
	}
	ok(good, "the largest frame fits in an empty ring wherever that is");
}

static void test_full(void)
{
	struct kring_frame f;
	int n = 0;

	ring_new(0);
	while (!send_frame(8, n))
		n++;
	ok(n == SIZE / 16, "%u frames of 16 bytes fill the ring to the last byte", SIZE / 16);
	ok(kring_reserve(&p, 8, &f) == -EAGAIN, "then there is no room");
	ok(!kring_writable(&p), "and it is not writable");
	must(!recv_frame(8, 0));
	ok(kring_writable(&p), "one frame released makes it writable");
	ok(!send_frame(8, n), "and there is room for one");
	ok(send_frame(8, n) == -EAGAIN, "and not for two");
	must(!recv_frame(8, 1));
	ok(!send_frame(8, n + 1), "nor need it be asked first");
	for (n = 2; n < (int)SIZE / 16 + 2; n++)
		must(!recv_frame(8, n));
	ok(kring_peek(&c, &f) == -EAGAIN, "all are received, in order");
}

static void test_past_32_bits(void)
{
	uint32_t start = UINT32_MAX - 3 * SIZE + 1, i;
	bool good = true;

	ring_new(start);
	for (i = 0; i < 2000; i++) {
		expect(&good, !send_frame(i % 60 + 1, i));
		if (i >= 10)
			expect(&good, !recv_frame((i - 10) % 60 + 1, i - 10));
	}
	ok(good && le32_to_cpu(mem.producer.head) < start, "cursors wrap past 2^32");

	/* Full, with head past 2^32 and tail before. */
	ring_new(UINT32_MAX - SIZE / 2 + 1);
	for (i = 0; !send_frame(8, i); i++)
		;
	ok(i == SIZE / 16, "a ring around 2^32 takes as much");
	must(!kring_producer_attach(&p, &geometry) && !kring_consumer_attach(&c, &geometry));
	for (i = 0; !recv_frame(8, i); i++)
		;
	ok(i == SIZE / 16, "and gives as much");
}

static void test_batch(void)
{
	struct kring_frame f;
	struct kring_producer old;
	int i;

	ring_new(0);
	for (i = 0; i < 5; i++)
		must(!put(10, i));
	ok(kring_peek(&c, &f) == -EAGAIN, "what is committed is not published");
	ok(!kring_submit(&p), "one submit publishes five frames");
	for (i = 0; i < 5; i++)
		must(!take(10, i));
	ok(mem.consumer.tail == 0, "what is advanced over is not given back");
	kring_release(&c);
	ok(mem.consumer.tail == mem.producer.head, "one release gives five frames back");

	/* A reservation that is not committed leaves nothing behind. */
	must(!kring_reserve(&p, 10, &f));
	old = p;
	ok(!send_frame(20, 7) && p.head == old.head + 32, "reserve again without commit");
	ok(!recv_frame(20, 7), "and it is received");
}

static void test_attach(void)
{
	ring_at(24, 8);
	ok(!kring_producer_attach(&p, &geometry) && p.head == 24 && p.tail == 8,
	   "a producer takes up where the region has it");
	ok(!kring_consumer_attach(&c, &geometry) && c.head == 24 && c.tail == 8,
	   "a consumer takes up where the region has it");
	ring_at(SIZE, 0);
	ok(!kring_producer_attach(&p, &geometry) && !kring_consumer_attach(&c, &geometry),
	   "a full ring is attached to");

	ring_at(SIZE + 8, 0);
	ok(kring_producer_attach(&p, &geometry) == -EBADMSG && p.fault,
	   "producer: more than the size in flight is refused: %s", p.fault);
	ok(kring_consumer_attach(&c, &geometry) == -EBADMSG && c.fault,
	   "consumer: more than the size in flight is refused: %s", c.fault);
	ring_at(0, 8);
	ok(kring_producer_attach(&p, &geometry) == -EBADMSG, "producer: tail before head");
	ok(kring_consumer_attach(&c, &geometry) == -EBADMSG, "consumer: tail before head");
	ring_at(12, 8);
	ok(kring_producer_attach(&p, &geometry) == -EBADMSG && strstr(p.fault, "not aligned"),
	   "producer: %s", p.fault);
	ring_at(16, 12);
	ok(kring_consumer_attach(&c, &geometry) == -EBADMSG && strstr(c.fault, "not aligned"),
	   "consumer: %s", c.fault);
}

static bool poisoned(const char *fault)
{
	struct kring_frame f;
	bool good = true;

	expect(&good, kring_peek(&c, &f) == -EBADMSG);
	expect(&good, c.fault && !strcmp(c.fault, fault));
	if (!good)
		printf("# expected: %s; got: %s\n", fault, c.fault ? c.fault : "no fault");
	/* For good, whatever the producer does about it. */
	mem.producer.head = mem.consumer.tail;
	expect(&good, kring_peek(&c, &f) == -EBADMSG);
	expect(&good, kring_consumer_check(&c) == -EBADMSG);
	expect(&good, kring_readable(&c));
	expect(&good, kring_want_data(&c));
	return good;
}

static void test_consumer_faults(void)
{
	static const struct {
		uint32_t at;
		uint32_t published;
		uint32_t len;
		uint32_t len_at_start;
		const char *fault;
	} cases[] = {
		{ 0, SIZE + 8, 8, 0, "head is more than the ring's size from tail" },
		{ 0, -8U, 8, 0, "head is more than the ring's size from tail" },
		{ 0, 4, 1, 0, "head is inside a frame's header" },
		{ 0, 7, 1, 0, "head is inside a frame's header" },
		{ SIZE - 8, 12, 0, 1, "head is inside a frame's header" },
		{ 0, 64, 0, 0, "skip at the start of the ring" },
		{ SIZE - 8, 64, 0, 0, "skip at the start of the ring" },
		{ SIZE - 64, 56, 0, 0, "head is inside a skip" },
		{ SIZE - 64, 8, 0, 0, "head is inside a skip" },
		{ 0, SIZE, MAX + 1, 0, "frame is longer than the longest allowed" },
		{ 0, SIZE, UINT32_MAX, 0, "frame is longer than the longest allowed" },
		{ 0, SIZE, 0x80000000, 0, "frame is longer than the longest allowed" },
		{ SIZE - 64, SIZE, 57, 0, "frame straddles the end of the ring" },
		{ SIZE - 8, SIZE, 1, 0, "frame straddles the end of the ring" },
		{ 0, 16, 9, 0, "frame goes beyond head" },
		{ 0, 8, 1, 0, "frame goes beyond head" },
		{ 0, 9, 1, 0, "frame goes beyond head" },
		{ SIZE - 8, 24, 0, 9, "frame goes beyond head" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ring_new(cases[i].at);
		kring_store_len(mem.data, cases[i].len_at_start);
		kring_store_len(mem.data + cases[i].at, cases[i].len);
		mem.producer.head = cpu_to_le32(cases[i].at + cases[i].published);
		ok(poisoned(cases[i].fault), "at %u, %u published, len %u, then %u: %s",
		   cases[i].at, cases[i].published, cases[i].len, cases[i].len_at_start,
		   cases[i].fault);
	}

	ring_new(0);
	mem.consumer.tail = cpu_to_le32(8);
	ok(kring_consumer_check(&c) == -EBADMSG, "consumer: %s", c.fault);

	ring_new(0);
	mem.producer.head = cpu_to_le32(SIZE + 8);
	ok(kring_readable(&c) && c.fault, "an error that nobody has been told yet is readable");
	ring_new(0);
	mem.producer.head = cpu_to_le32(SIZE + 8);
	ok(kring_want_data(&c) && c.fault, "and no consumer sleeps over it");
}

static void test_producer_faults(void)
{
	struct kring_frame f;
	int n = 0;

	ring_new(0);
	while (!send_frame(100, n))
		n++;
	mem.consumer.tail = cpu_to_le32(le32_to_cpu(mem.producer.head) + 8);
	ok(kring_reserve(&p, 100, &f) == -EBADMSG, "tail beyond head: %s", p.fault);
	mem.consumer.tail = mem.producer.head;
	ok(kring_reserve(&p, 100, &f) == -EBADMSG, "poisoned for good");
	ok(kring_producer_check(&p) == -EBADMSG && kring_writable(&p) && kring_want_space(&p),
	   "and it says so instead of sleeping");
	ok(!recv_frame(100, 0), "the consumer's side goes on");

	ring_new(0);
	while (!send_frame(100, n))
		n++;
	mem.consumer.tail = cpu_to_le32(le32_to_cpu(mem.producer.head) - SIZE - 8);
	ok(kring_reserve(&p, 100, &f) == -EBADMSG, "tail too far behind: %s", p.fault);

	ring_new(0);
	while (!send_frame(100, n))
		n++;
	mem.consumer.tail = cpu_to_le32(le32_to_cpu(mem.producer.head) + 8);
	ok(kring_writable(&p) && p.fault, "an error that nobody has been told yet is writable");
	mem.consumer.tail = cpu_to_le32(p.tail);
	ok(kring_writable(&p), "and so is one whose cause is gone, in a ring as full as before");

	ring_new(0);
	mem.producer.head = cpu_to_le32(8);
	ok(kring_producer_check(&p) == -EBADMSG, "producer: %s", p.fault);
}

static void test_skip_alone(void)
{
	struct kring_frame f;

	ring_new(SIZE - 64);
	kring_store_len(mem.data + SIZE - 64, 0);
	mem.producer.head = cpu_to_le32(SIZE);
	ok(kring_peek(&c, &f) == -EAGAIN && !c.fault, "a skip alone is no frame, and no fault");
	ok(kring_unreleased(&c), "its room is to be given back");
	kring_release(&c);
	ok(le32_to_cpu(mem.consumer.tail) == SIZE && !kring_unreleased(&c), "and is");
	must(!kring_producer_attach(&p, &geometry));
	ok(!send_frame(5, 5) && !recv_frame(5, 5), "and the next frame is found");
}

/* Lengths and cursors change between each two loads: what was checked must be what is used. */
static void test_changing_len(void)
{
	struct kring_frame f;
	uint32_t len;

	ring_new(0);
	must(!send_frame(100, 1));
	must(!kring_peek(&c, &f));
	len = f.len;
	kring_store_len(mem.data, 0xffffff);
	kring_advance(&c, &f);
	ok(len == 100 && c.tail == 112, "a length that is changed after peek has no effect");
}

static void test_want_data(void)
{
	ring_new(0);
	must(!put(1, 1));
	ok(!kring_submit(&p), "no kick for a consumer that is awake");
	ok(kring_want_data(&c), "a consumer does not sleep while a frame waits");
	kring_got_data(&c);
	must(!recv_frame(1, 1));
	ok(!kring_want_data(&c), "it sleeps when there is none");
	must(!put(1, 2));
	ok(kring_submit(&p), "then it is kicked");
	kring_got_data(&c);
	ok(mem.consumer.want_data == 0, "awake again");
	must(!put(1, 3));
	ok(!kring_submit(&p), "it is not kicked");
}

static void test_want_space(void)
{
	struct kring_frame f;
	int n = 0;

	ring_new(0);
	ok(kring_want_space(&p), "a producer does not sleep while there is room");
	kring_got_space(&p);
	while (!send_frame(56, n))
		n++;
	ok(kring_reserve(&p, 200, &f) == -EAGAIN && p.want == 208, "208 bytes are wanted");
	ok(!kring_want_space(&p), "it sleeps");
	ok(le32_to_cpu(mem.producer.want_space) == 208, "and says for how much");
	must(!take(56, 0));
	ok(!kring_release(&c), "no kick at 64 bytes free");
	must(!take(56, 1) && !take(56, 2));
	ok(!kring_release(&c), "no kick at 192 bytes free");
	ok(!kring_writable(&p), "nor is it writable");
	must(!take(56, 3));
	ok(kring_release(&c), "a kick at 256 bytes free");
	ok(kring_writable(&p), "now it is writable");
	ok(!kring_reserve(&p, 200, &f) && !p.want, "and the frame fits");
	kring_got_space(&p);
	must(!take(56, 4));
	ok(!kring_release(&c), "no kick for a producer that is awake");

	/* Asked before any frame was refused: for the smallest, wherever it would lie. */
	ring_new(0);
	for (n = 0; n < (int)SIZE / 16 - 1; n++)
		must(!send_frame(8, n));
	ok(!p.want && !kring_writable(&p), "16 bytes free are not room for any frame");
	ok(!kring_want_space(&p) && le32_to_cpu(mem.producer.want_space) == 32,
	   "32 bytes are wanted for that");
	must(!take(8, 0));
	ok(kring_release(&c) && kring_writable(&p), "and a kick comes at 32 bytes, not later");

	/* A frame that needs a skip waits for the skip's room, too. */
	ring_new(SIZE - 64);
	must(!send_frame(56, 0));
	while (!send_frame(MAX, 1))
		;
	ok(kring_reserve(&p, MAX, &f) == -EAGAIN, "no room");
	ok(p.want >= MAX + 8, "room for frame and skip is wanted: %u", p.want);
}

static void test_no_want_fields(void)
{
	ring_new(0);
	geometry.want_space = NULL;
	geometry.want_data = NULL;
	must(!kring_producer_attach(&p, &geometry) && !kring_consumer_attach(&c, &geometry));
	must(!put(1, 1));
	ok(kring_submit(&p), "a format without want fields: each submit kicks");
	must(!take(1, 1));
	ok(kring_release(&c), "each release kicks");
	ok(!kring_want_data(&c), "it sleeps when there is none");
	kring_got_data(&c);
	kring_got_space(&p);
	ok(!mem.consumer.want_data && !mem.producer.want_space, "and no field is written");
}

/* The format with a header of 4 bytes and no alignment. */
static void test_unaligned(void)
{
	bool good = true;
	uint32_t at, i;

	for (at = 0; at < SIZE; at++) {
		ring_at(at, at);
		geometry.header = 4;
		geometry.align = 1;
		geometry.max = SIZE - 4;
		geometry.send_max = SIZE / 2 - 4;
		must(!kring_producer_attach(&p, &geometry));
		must(!kring_consumer_attach(&c, &geometry));
		expect(&good, send_frame(geometry.send_max + 1, at) == -EMSGSIZE);
		expect(&good, !send_frame(geometry.send_max, at));
		expect(&good, !recv_frame(geometry.send_max, at));
		for (i = 1; i < 50; i++) {
			expect(&good, !send_frame(i * 7, i));
			expect(&good, !recv_frame(i * 7, i));
		}
		expect(&good, guards_whole());
	}
	ok(good, "frames with 4 bytes of header and no alignment, from each position");
}

#define OPERATIONS	1000000
#define QUEUE		SIZE

/* What the ring must be: a queue of frames. */
static void test_model(uint64_t seed)
{
	static struct { uint32_t len, seed; } queue[QUEUE];
	uint32_t put_n = 0, submitted = 0, taken = 0, released = 0, i, len;
	uint64_t state = seed;
	struct kring_frame f;
	bool good = true;
	int err;

	ring_new(-20U * SIZE);
	for (i = 0; i < OPERATIONS && good; i++) {
		switch (random_below(&state, 8)) {
		case 0 ... 2:
			len = 1 + random_below(&state, random_below(&state, 4) ? 64 : MAX);
			err = put(len, i);
			if (!err) {
				queue[put_n % QUEUE].len = len;
				queue[put_n++ % QUEUE].seed = i;
			} else {
				/* Never for a frame that is alone in the ring. */
				expect(&good, err == -EAGAIN);
				expect(&good, put_n != released);
			}
			break;
		case 3:
			kring_submit(&p);
			submitted = put_n;
			break;
		case 4 ... 6:
			len = queue[taken % QUEUE].len;
			err = take(len, queue[taken % QUEUE].seed);
			expect(&good, err == (taken == submitted ? -EAGAIN : 0));
			taken += !err;
			break;
		case 7:
			kring_release(&c);
			released = taken;
			/* Whoever takes over now finds all of it. */
			if (put_n == submitted && !random_below(&state, 8)) {
				expect(&good, !kring_producer_attach(&p, &geometry));
				expect(&good, !kring_consumer_attach(&c, &geometry));
			}
			break;
		}
	}
	kring_submit(&p);
	for (; taken < put_n; taken++)
		expect(&good, !take(queue[taken % QUEUE].len, queue[taken % QUEUE].seed));
	expect(&good, kring_peek(&c, &f) == -EAGAIN);
	expect(&good, guards_whole());
	expect(&good, put_n > OPERATIONS / 8);
	ok(good, "%u random operations, %u frames, as a queue does it (seed %llu)", i, put_n,
	   (unsigned long long)seed);
}

/* Whatever the producer's memory holds, peek ends, and stays inside the data. */
static void test_garbage(uint64_t seed)
{
	uint32_t i, j, frames = 0, faults = 0;
	uint64_t state = seed;
	struct kring_frame f;
	bool good = true;
	int err;

	for (i = 0; i < 20000; i++) {
		ring_new(random_next(&state) & ~7U);
		for (j = 0; j < SIZE; j += 8)
			kring_store_len(mem.data + j, random_below(&state, 4) ?
					random_below(&state, 200) : random_next(&state));
		mem.producer.head = cpu_to_le32(c.tail + random_below(&state, SIZE + 16));
		for (j = 0; j < SIZE; j++) {
			err = kring_peek(&c, &f);
			if (err)
				break;
			frames++;
			expect(&good, f.payload >= mem.data + 8 && f.len && f.len <= MAX &&
			       f.payload + f.len <= mem.data + SIZE);
			kring_advance(&c, &f);
			kring_release(&c);
		}
		expect(&good, err == -EBADMSG || err == -EAGAIN);
		expect(&good, (err == -EBADMSG) == !!c.fault);
		faults += err == -EBADMSG;
	}
	expect(&good, frames > 1000 && faults > 1000);
	ok(good, "garbage: %u frames, %u faults, never outside the data (seed %llu)", frames,
	   faults, (unsigned long long)seed);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

	test_basics();
	test_bytes();
	test_largest();
	test_full();
	test_past_32_bits();
	test_batch();
	test_attach();
	test_consumer_faults();
	test_producer_faults();
	test_skip_alone();
	test_changing_len();
	test_want_data();
	test_want_space();
	test_no_want_fields();
	test_unaligned();
	test_model(seed);
	test_garbage(seed);
	return tap_done();
}
