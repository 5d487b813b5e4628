// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A peer that writes between any two loads. Each load of a shared word is seen here: the
 * peer's memory changes right behind it, so what is read twice is never the same twice, and
 * what was not checked shows. No thread has to be lucky.
 */
#include <string.h>

#include <linux/kring.h>
#include <kring/barrier.h>

static void loaded(const void *at);

#undef kring_load_acquire
#define kring_load_acquire(p) ({				\
	__auto_type at_ = (p);					\
	__auto_type v_ = __atomic_load_n(at_, __ATOMIC_ACQUIRE);	\
	loaded(at_);						\
	v_;							\
})
#undef READ_ONCE
#define READ_ONCE(x) ({						\
	__auto_type at_ = &(x);					\
	__auto_type v_ = __atomic_load_n(at_, __ATOMIC_RELAXED);	\
	loaded(at_);						\
	v_;							\
})

#include <kring/ring.h>

#include "random.h"
#include <tap.h>

#define SIZE	512U
#define ROUNDS	100000

/* Each part by itself, so that what strays meets a guard or a sanitizer. */
static struct {
	__le32 head;
	__le32 want_space;
	__le32 tail;
	__le32 want_data;
	uint8_t before[64];
	uint8_t data[SIZE];
	uint8_t behind[64];
} mem;

enum { NATIVE, AMRB };

static struct kring_ring ring;
static uint64_t dice;

/* What the verb that runs now has loaded. */
static unsigned int verb_number, loads_head, loads_tail, loads_want;
/* The last verb that loaded this byte. */
static unsigned int loaded_by[SIZE];
static bool twice;
static bool outside;
static bool hostile;
/* Who is tested; the other one's words are the peer's to write. */
static bool producing;

static void verb(void)
{
	verb_number++;
	loads_head = 0;
	loads_tail = 0;
	loads_want = 0;
}

/* A length that is often nearly right. */
static uint32_t some_len(void)
{
	switch (random_below(&dice, 8)) {
	case 0:
		return random_next(&dice);
	case 1:
		return 0;
	case 2:
		return SIZE / 2 - random_below(&dice, 16);
	case 3:
		return SIZE - random_below(&dice, 16);
	default:
		return random_below(&dice, 64);
	}
}

static uint32_t some_cursor(uint32_t at)
{
	uint32_t back = random_below(&dice, SIZE + 1);

	switch (random_below(&dice, 16)) {
	case 0:
		return random_next(&dice);
	case 1:
		return producing ? at - SIZE - ring.align : at + SIZE + ring.align;
	case 2:
		return producing ? at - SIZE : at + SIZE;
	case 3:
		return producing ? at + 1 : at - 1;
	default:
		back &= ~(ring.align - 1);
		return producing ? at - back : at + back;
	}
}

static void peer_writes(const void *at)
{
	const uint8_t *byte = (const uint8_t *)at;

	if (at == &mem.head && !producing)
		mem.head = cpu_to_le32(some_cursor(le32_to_cpu(mem.tail)));
	else if (at == &mem.tail && producing)
		mem.tail = cpu_to_le32(some_cursor(le32_to_cpu(mem.head)));
	else if (at == &mem.want_data || at == &mem.want_space)
		*(__le32 *)at = cpu_to_le32(random_below(&dice, 2) ? some_len() : 0);
	else if (byte >= mem.data && byte < mem.data + SIZE)
		*(uint8_t *)byte = random_below(&dice, 3) ? 0 : random_next(&dice);
}

static void loaded(const void *at)
{
	const uint8_t *byte = (const uint8_t *)at;

	if (at == &mem.head)
		loads_head++;
	else if (at == &mem.tail)
		loads_tail++;
	else if (at == &mem.want_data || at == &mem.want_space)
		loads_want++;
	else if (byte < mem.data || byte >= mem.data + SIZE)
		outside = true;
	else if (loaded_by[byte - mem.data] == verb_number)
		twice = true;
	else
		loaded_by[byte - mem.data] = verb_number;
	if (hostile)
		peer_writes(at);
}

/* Once, if at all: the peer's cursor, its want field, each byte of a length. */
static bool once(unsigned int head, unsigned int tail, unsigned int want)
{
	bool good = true;

	expect(&good, loads_head <= head);
	expect(&good, loads_tail <= tail);
	expect(&good, loads_want <= want);
	expect(&good, !twice);
	expect(&good, !outside);
	return good;
}

static void ring_new(uint32_t format)
{
	memset(&mem, 0x5a, sizeof(mem));
	mem.want_space = 0;
	mem.want_data = 0;
	twice = false;
	outside = false;
	ring = (struct kring_ring) {
		.head = &mem.head,
		.want_space = format == NATIVE ? &mem.want_space : NULL,
		.tail = &mem.tail,
		.want_data = format == NATIVE ? &mem.want_data : NULL,
		.data = mem.data,
		.size = SIZE,
		.header = format == NATIVE ? 8 : 4,
		.align = format == NATIVE ? 8 : 1,
		.max = format == NATIVE ? SIZE / 2 - 8 : SIZE - 4,
		.send_max = format == NATIVE ? SIZE / 2 - 8 : SIZE / 2 - 4,
	};
}

static bool guards_whole(void)
{
	size_t i;

	for (i = 0; i < sizeof(mem.before); i++)
		if (mem.before[i] != 0x5a || mem.behind[i] != 0x5a)
			return false;
	return true;
}

static bool frame_inside(const struct kring_frame *f, uint32_t largest)
{
	return f->len && f->len <= largest && f->payload >= mem.data + ring.header &&
	       f->payload - mem.data + (uint64_t)f->len <= SIZE;
}

static void consumer_round(bool *good, uint32_t *frames, uint32_t *faults)
{
	uint32_t at = random_next(&dice) & ~(ring.align - 1);
	struct kring_consumer c;
	struct kring_frame f = { 0 };
	uint32_t i, tail;
	int err = 0;

	mem.head = cpu_to_le32(at);
	mem.tail = cpu_to_le32(at);
	hostile = false;
	must(!kring_consumer_attach(&c, &ring));
	hostile = true;
	for (i = 0; i < 8 && !c.fault; i++) {
		mem.head = cpu_to_le32(some_cursor(c.tail));
		kring_store_len(mem.data, some_len());
		if ((c.tail & (SIZE - 1)) <= SIZE - 4)
			kring_store_len(mem.data + (c.tail & (SIZE - 1)), some_len());
		verb();
		err = kring_peek(&c, &f);
		expect(good, once(1, 0, 0));
		expect(good, c.head - c.tail <= SIZE || c.fault);
		expect(good, (err == -EBADMSG) == !!c.fault);
		if (err)
			continue;
		(*frames)++;
		expect(good, frame_inside(&f, ring.max));
		tail = c.tail;
		verb();
		kring_advance(&c, &f);
		expect(good, once(0, 0, 0));
		expect(good, c.tail == f.cursor + kring_frame_size(&ring, f.len));
		expect(good, c.tail - tail <= SIZE && c.head - c.tail <= SIZE);
		verb();
		kring_release(&c);
		expect(good, once(0, 0, 1));
		expect(good, le32_to_cpu(mem.tail) == c.tail);
		verb();
		kring_want_data(&c);
		expect(good, once(1, 0, 0));
		expect(good, c.head - c.tail <= SIZE);
	}
	*faults += !!c.fault;
	verb();
	expect(good, !c.fault || kring_peek(&c, &f) == -EBADMSG);
	expect(good, !c.fault || once(0, 0, 0));
	expect(good, guards_whole());
}

static void producer_round(bool *good, uint32_t *frames, uint32_t *faults)
{
	uint32_t at = random_next(&dice) & ~(ring.align - 1);
	struct kring_producer p;
	struct kring_frame f = { 0 };
	uint32_t i, head, len;
	int err;

	mem.head = cpu_to_le32(at);
	mem.tail = cpu_to_le32(at);
	hostile = false;
	must(!kring_producer_attach(&p, &ring));
	hostile = true;
	for (i = 0; i < 16 && !p.fault; i++) {
		len = random_below(&dice, 4) ? random_below(&dice, 64) : some_len();
		verb();
		err = kring_reserve(&p, len, &f);
		expect(good, once(0, 1, 0));
		expect(good, p.head - p.tail <= SIZE || p.fault);
		expect(good, (err == -EBADMSG) == !!p.fault);
		expect(good, (err == -EINVAL) == !len);
		expect(good, (err == -EMSGSIZE) == (len > ring.send_max));
		if (err == -EAGAIN) {
			verb();
			kring_want_space(&p);
			expect(good, once(0, 1, 0));
		}
		if (err)
			continue;
		(*frames)++;
		expect(good, f.len == len && frame_inside(&f, ring.send_max));
		memset(f.payload, 0xff, len);
		head = p.head;
		verb();
		kring_commit(&p, &f);
		expect(good, once(0, 0, 0));
		expect(good, p.head - head <= SIZE && p.head - p.tail <= SIZE);
		expect(good, kring_load_len(f.payload - ring.header) == len);
		verb();
		kring_submit(&p);
		expect(good, once(0, 0, 1));
		expect(good, le32_to_cpu(mem.head) == p.head);
	}
	*faults += !!p.fault;
	verb();
	expect(good, !p.fault || kring_reserve(&p, 1, &f) == -EBADMSG);
	expect(good, !p.fault || once(0, 0, 0));
	expect(good, guards_whole());
}

/* At attach both cursors are read, each once. */
static void attach_round(bool *good)
{
	uint32_t at = random_next(&dice);
	struct kring_producer p;
	struct kring_consumer c;

	mem.head = cpu_to_le32(at);
	mem.tail = cpu_to_le32(at);
	if (producing)
		mem.tail = cpu_to_le32(some_cursor(at));
	else
		mem.head = cpu_to_le32(some_cursor(at));
	hostile = true;
	verb();
	if (producing)
		expect(good, kring_producer_attach(&p, &ring) ? !!p.fault :
		       p.head == at && p.head - p.tail <= SIZE && !(at & (ring.align - 1)));
	else
		expect(good, kring_consumer_attach(&c, &ring) ? !!c.fault :
		       c.tail == at && c.head - c.tail <= SIZE && !(at & (ring.align - 1)));
	expect(good, once(1, 1, 0));
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "native", "AMRB" };
	uint32_t format, i, frames, faults;
	bool good;

	dice = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (format = NATIVE; format <= AMRB; format++) {
		for (producing = false; ; producing = true) {
			good = true;
			frames = 0;
			faults = 0;
			ring_new(format);
			for (i = 0; i < ROUNDS / 10 && good; i++)
				attach_round(&good);
			for (i = 0; i < ROUNDS && good; i++) {
				if (producing)
					producer_round(&good, &frames, &faults);
				else
					consumer_round(&good, &frames, &faults);
			}
			ok(good && frames > ROUNDS / 8 && faults > ROUNDS / 8,
			   "%s %s: %u frames, %u faults, each word read once", names[format],
			   producing ? "producer" : "consumer", frames, faults);
			if (producing)
				break;
		}
	}
	return tap_done();
}
