// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The ring against every peer: small rings, each cursor, each length, changed at each load.
 *
 * The headers are the shipped ones. Their loads and stores of shared memory come here
 * instead: a load returns whatever a peer could have put there by then, one value after the
 * other until all of them have been tried (see choose()). So two loads of one word disagree
 * whenever they can, and what is read twice shows.
 *
 * One state is one start (geometry, size, cursors) with one value for each load after it.
 *
 * The words in the region are poisoned for the address sanitizer: touched in any way but
 * through the hooks, they end the test. So do the bytes around the data.
 *
 * Values: cursors at each offset, at 0, around 2^31 and around 2^32; the peer's cursor at
 * each distance from 0 to the size, and at wild ones; each length from 0 to the size + 1,
 * and wild ones.
 */
#include <stdint.h>
#include <string.h>

#include <linux/kring.h>
#include <kring/barrier.h>
#include <tap.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)	((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size)	((void)(at), (void)(size))
#endif

static uint32_t hook_load(const void *at, size_t size);
static void hook_store(void *at, size_t size, uint32_t v);
static void hook_fill(void *at, int v, size_t size);

#undef READ_ONCE
#undef WRITE_ONCE
#undef kring_load_acquire
#undef kring_store_release
#define READ_ONCE(x)			((__typeof__(x))hook_load(&(x), sizeof(x)))
#define WRITE_ONCE(x, v)		hook_store(&(x), sizeof(x), v)
#define kring_load_acquire(p)		hook_load(p, sizeof(*(p)))
#define kring_store_release(p, v)	hook_store(p, sizeof(*(p)), v)
#define memset(at, v, size)		hook_fill(at, v, size)
#include <kring/ring.h>
#undef memset

#include <kring/region.h>

/* Where kring_place_ring() finds things in the memory of a test. */
#define HEAD		64
#define WANT_SPACE	68
#define TAIL		128
#define WANT_DATA	132
#define DATA		256
#define SIZE_MAX_HERE	64
#define BEHIND		64

static _Alignas(64) uint8_t memory[DATA + SIZE_MAX_HERE + BEHIND];
static struct kring_ring ring;
static struct kring_producer p;
static struct kring_consumer c;

/* Whose loads these are. HONEST: both, and what was stored is what is loaded. */
static enum role { PRODUCER, CONSUMER, HONEST } role;
static const char *geometry;
static uint64_t states;

/*
 * All schedules: the n-th choice of a run is pick[n] of choices[n], and next_schedule()
 * counts up, the last choice first.
 */
static struct {
	uint32_t pick[32];
	uint32_t choices[32];
	unsigned int made;
	unsigned int known;
} schedule;

/* What the verb under test has loaded and stored. */
static struct {
	unsigned int own;
	unsigned int peer;
	unsigned int want;
	unsigned int lengths;
	unsigned int bytes;
	uint32_t length[2];
	uint32_t peer_value;
	uint32_t want_value;
	unsigned int stores;
} seen;

/* The words as this side left them. */
static uint32_t own_cursor;
static uint32_t own_want;

/* With what a byte of an honest ring's words is kept. */
static uint32_t words[4];

/* Fewer values for what comes behind the first verb. */
static bool brief;

static _Noreturn void broken(int line, const char *what)
{
	unsigned int i;

	ok(false, "%s, size %u, %s: line %d: %s", geometry, ring.size,
	   role == PRODUCER ? "producer" : role == CONSUMER ? "consumer" : "both", line, what);
	printf("# producer: head %#x submitted %#x tail %#x want %u fault %s\n", p.head,
	       p.submitted, p.tail, p.want, p.fault ? p.fault : "none");
	printf("# consumer: tail %#x released %#x head %#x fault %s\n", c.tail, c.released,
	       c.head, c.fault ? c.fault : "none");
	printf("# choices:");
	for (i = 0; i < schedule.made; i++)
		printf(" %u/%u", schedule.pick[i], schedule.choices[i]);
	printf("\n");
	tap_done();
	exit(1);
}

#define holds(cond) do {					\
	if (__builtin_expect(!(cond), 0))			\
		broken(__LINE__, #cond);			\
} while (0)

static uint32_t choose(uint32_t choices)
{
	holds(schedule.made < ARRAY_SIZE(schedule.pick));
	if (schedule.made == schedule.known) {
		schedule.pick[schedule.known] = 0;
		schedule.choices[schedule.known++] = choices;
	}
	return schedule.pick[schedule.made++];
}

static bool next_schedule(void)
{
	states++;
	schedule.made = 0;
	while (schedule.known) {
		unsigned int last = schedule.known - 1;

		if (++schedule.pick[last] < schedule.choices[last])
			return true;
		schedule.known--;
	}
	return false;
}

/* How far the peer's cursor is: each distance that makes sense, and some that do not. */
static uint32_t any_distance(void)
{
	const uint32_t wild[] = { ring.size + 1, 2 * ring.size, 0x80000000, -ring.size, -1U };
	const uint32_t few[] = { 0, ring.align, ring.size / 2, ring.size, ring.size + 1 };
	uint32_t pick;

	if (brief)
		return few[choose(ARRAY_SIZE(few))];
	pick = choose(ring.size + 1 + ARRAY_SIZE(wild));
	return pick <= ring.size ? pick : wild[pick - ring.size - 1];
}

static uint32_t any_length(void)
{
	const uint32_t wild[] = {
		2 * ring.size, 0x10001, 0x7fffffff, 0x80000000, 0x80000008, -ring.size,
		-ring.header - ring.align, -ring.header - 1, -ring.header, 1 - ring.header,
		-ring.align, -2U, -1U,
	};
	const uint32_t few[] = {
		0, 1, ring.align, ring.align + 1, ring.send_max, ring.max, ring.max + 1,
		ring.size - ring.header, ring.size, -ring.header, -1U,
	};
	uint32_t pick;

	if (brief)
		return few[choose(ARRAY_SIZE(few))];
	pick = choose(ring.size + 2 + ARRAY_SIZE(wild));
	return pick <= ring.size + 1 ? pick : wild[pick - ring.size - 2];
}

static uint32_t any_want(void)
{
	const uint32_t wants[] = { 0, 1, ring.size / 2, ring.size, ring.size + 1, -1U };

	return wants[choose(brief ? 2 : ARRAY_SIZE(wants))];
}

/* A cursor: each offset, at the start, around 2^31, around 2^32. */
static uint32_t any_cursor(void)
{
	const uint32_t bases[] = { 0, 0x80000000 - ring.size, -ring.size };
	uint32_t base = bases[choose(ARRAY_SIZE(bases))];

	return base + choose(ring.size);
}

static bool inside(const void *at, size_t size)
{
	uintptr_t offset = (uintptr_t)at - (uintptr_t)ring.data;

	return offset < ring.size && size <= ring.size - offset;
}

/* The n-th length that one kring_peek() loads: at the tail if one fits there, then at 0. */
static uint32_t load_length(const uint8_t *at)
{
	uint32_t pos = c.tail & (ring.size - 1);
	uint32_t byte;

	if (seen.lengths || ring.size - pos < ring.header)
		pos = 0;
	byte = at - ring.data - pos;
	holds(byte < 4);
	holds(seen.lengths < ARRAY_SIZE(seen.length));
	if (!seen.bytes)
		seen.length[seen.lengths] = any_length();
	/* Each byte once. */
	holds(!(seen.bytes & 1 << byte));
	seen.bytes |= 1 << byte;
	byte = seen.length[seen.lengths] >> 8 * byte & 0xff;
	if (seen.bytes == 0xf) {
		seen.lengths++;
		seen.bytes = 0;
	}
	return byte;
}

static uint32_t load_cursor(bool own)
{
	uint32_t cursor;

	if (own) {
		holds(!seen.own++);
		return own_cursor;
	}
	holds(!seen.peer++);
	cursor = role == PRODUCER ? p.head - any_distance() : c.tail + any_distance();
	seen.peer_value = cursor;
	return cursor;
}

static uint32_t *word(const void *at)
{
	if (at == ring.head)
		return &words[0];
	if (at == ring.tail)
		return &words[1];
	if (at && at == ring.want_data)
		return &words[2];
	if (at && at == ring.want_space)
		return &words[3];
	return NULL;
}

static uint32_t hook_load(const void *at, size_t size)
{
	if (size == 1) {
		holds(inside(at, 1));
		holds(role != PRODUCER);
		if (role == HONEST)
			return *(const uint8_t *)at;
		/* For the address sanitizer. */
		(void)*(const volatile uint8_t *)at;
		return load_length(at);
	}
	holds(size == 4 && word(at));
	if (role == HONEST)
		return *word(at);
	if (at == ring.head || at == ring.tail)
		return load_cursor((at == ring.head) == (role == PRODUCER));
	holds(at == (role == PRODUCER ? ring.want_data : ring.want_space));
	holds(!seen.want++);
	seen.want_value = any_want();
	return seen.want_value;
}

static void hook_store(void *at, size_t size, uint32_t v)
{
	seen.stores++;
	if (size == 1) {
		holds(role != CONSUMER);
		holds(inside(at, 1));
		*(uint8_t *)at = v;
		return;
	}
	holds(size == 4 && word(at));
	*word(at) = v;
	if (role == HONEST)
		return;
	if (at == (role == PRODUCER ? ring.head : ring.tail)) {
		own_cursor = v;
	} else {
		holds(at == (role == PRODUCER ? ring.want_space : ring.want_data));
		own_want = v;
	}
}

static void hook_fill(void *at, int v, size_t size)
{
	seen.stores++;
	holds(role != CONSUMER);
	holds(inside(at, size));
	memset(at, v, size);
}

static void begin(void)
{
	memset(&seen, 0, sizeof(seen));
}

static uint64_t frame_bytes(uint64_t len)
{
	return (ring.header + len + ring.align - 1) / ring.align * ring.align;
}

static void frame_is_inside(const struct kring_frame *f)
{
	holds(f->len);
	holds((f->cursor & (ring.size - 1)) + (uint64_t)ring.header + f->len <= ring.size);
	holds(f->payload == ring.data + (f->cursor & (ring.size - 1)) + ring.header);
	holds(inside(f->payload, f->len));
	holds(f->cursor % ring.align == 0);
}

/*
 * Consumer
 */

/* What kring_peek() must say, told again with positions that do not wrap. */
static int model_peek(uint32_t pos, uint32_t avail, unsigned int *lengths, uint64_t *at)
{
	uint64_t end = (uint64_t)pos + avail;
	uint64_t len = 0;

	*lengths = 0;
	*at = pos;
	if (!avail)
		return -EAGAIN;
	if (pos + ring.header <= ring.size) {
		if (pos + ring.header > end)
			return -EBADMSG;
		len = seen.length[(*lengths)++];
	}
	if (!len) {
		if (!pos || end < ring.size)
			return -EBADMSG;
		*at = ring.size;
		if (end == ring.size)
			return -EAGAIN;
		if (end < ring.size + ring.header)
			return -EBADMSG;
		len = seen.length[(*lengths)++];
	}
	if (!len || len > ring.max || *at + frame_bytes(len) > end)
		return -EBADMSG;
	if (*at < ring.size && *at + frame_bytes(len) > ring.size)
		return -EBADMSG;
	return 0;
}

static void consumer_poisoned(void)
{
	const char *fault = c.fault;
	struct kring_consumer before = c;
	struct kring_frame f;

	holds(fault && *fault);
	begin();
	holds(kring_peek(&c, &f) == -EBADMSG);
	holds(kring_consumer_check(&c) == -EBADMSG);
	holds(kring_readable(&c));
	holds(!seen.own && !seen.peer && !seen.lengths && !seen.stores);
	holds(kring_want_data(&c));
	kring_got_data(&c);
	holds(c.fault == fault && c.tail == before.tail && c.head == before.head);
	holds(c.released == before.released);
}

/* One kring_peek(). False: no frame. */
static bool peek(struct kring_frame *f)
{
	struct kring_consumer before = c;
	uint32_t pos = c.tail & (ring.size - 1);
	uint32_t avail = c.head - c.tail;
	unsigned int lengths = 0;
	uint64_t at = pos;
	int err, want;

	begin();
	*f = (struct kring_frame) { 0 };
	err = kring_peek(&c, f);
	holds(!seen.stores && !seen.own && !seen.want && !seen.bytes);
	holds(seen.peer == (avail == 0));
	if (seen.peer)
		avail = seen.peer_value - before.tail;
	want = avail > ring.size ? -EBADMSG : model_peek(pos, avail, &lengths, &at);
	holds(err == want);
	holds(seen.lengths == lengths);
	holds(c.released == before.released);
	holds(!c.fault == (err != -EBADMSG));
	if (err != -EBADMSG)
		holds(c.head == before.tail + avail);
	/* Only a skip that has nothing behind it moves the tail. */
	holds(c.tail == before.tail + (err == -EAGAIN ? (uint32_t)at - pos : 0));
	holds(c.head - c.tail <= ring.size);
	if (err == -EBADMSG)
		consumer_poisoned();
	if (err)
		return false;

	frame_is_inside(f);
	holds(f->cursor == before.tail + (uint32_t)at - pos);
	holds(f->len == seen.length[lengths - 1] && f->len <= ring.max);
	/* For the address sanitizer. */
	(void)((volatile uint8_t *)f->payload)[0];
	(void)((volatile uint8_t *)f->payload)[f->len - 1];
	return true;
}

static void release(void)
{
	bool kick, kick_wanted;
	uint32_t free;

	begin();
	kick = kring_release(&c);
	holds(own_cursor == c.tail && c.released == c.tail && !kring_unreleased(&c));
	holds(seen.stores == 1 && !seen.peer && !seen.own && !seen.lengths);
	holds(seen.want == (ring.want_space ? 1 : 0));
	free = ring.size - (c.head - c.tail);
	kick_wanted = !ring.want_space || (seen.want_value && free >= seen.want_value);
	holds(kick == kick_wanted);
}

static void consumer_check(void)
{
	bool moved = choose(2);
	int err;

	begin();
	own_cursor += moved;
	err = kring_consumer_check(&c);
	own_cursor -= moved;
	holds(err == (moved ? -EBADMSG : 0));
	if (moved)
		consumer_poisoned();
}

static void want_data(void)
{
	bool readable;

	begin();
	own_want = 0;
	readable = kring_want_data(&c);
	holds(own_want == (ring.want_data ? 1 : 0));
	holds(readable == (c.fault || c.head != c.tail));
	holds(!seen.lengths && seen.peer <= 1);
	if (c.fault)
		holds(seen.peer_value - c.tail > ring.size);
	else
		holds(c.head - c.tail <= ring.size);
	kring_got_data(&c);
	holds(!own_want);
}

static void consumer(void)
{
	struct kring_frame f;
	bool frame;
	int err;

	role = CONSUMER;
	brief = false;
	begin();
	own_cursor = any_cursor();
	err = kring_consumer_attach(&c, &ring);
	holds(c.tail == own_cursor && c.released == own_cursor && c.head == seen.peer_value);
	holds(seen.own == 1 && seen.peer == 1 && !seen.stores && !seen.lengths);
	if (c.head - c.tail > ring.size || c.tail % ring.align) {
		holds(err == -EBADMSG);
		consumer_poisoned();
		return;
	}
	holds(!err && !c.fault);

	frame = peek(&f);
	brief = true;
	if (c.fault)
		return;
	if (frame) {
		kring_advance(&c, &f);
		holds(c.tail == f.cursor + (uint32_t)frame_bytes(f.len));
		holds(c.head - c.tail <= ring.size);
	}
	if (choose(2))
		release();
	switch (choose(3)) {
	case 0:
		frame = peek(&f);
		if (frame) {
			kring_advance(&c, &f);
			holds(c.head - c.tail <= ring.size);
			release();
		}
		break;
	case 1:
		consumer_check();
		break;
	case 2:
		want_data();
		break;
	}
}

/*
 * Producer
 */

static void producer_poisoned(void)
{
	const char *fault = p.fault;
	struct kring_producer before = p;
	struct kring_frame f;

	holds(fault && *fault);
	begin();
	holds(kring_reserve(&p, 1, &f) == -EBADMSG);
	holds(kring_reserve(&p, 0, &f) == -EBADMSG);
	holds(kring_reserve(&p, -1U, &f) == -EBADMSG);
	holds(kring_producer_check(&p) == -EBADMSG);
	holds(kring_writable(&p));
	holds(!seen.own && !seen.peer && !seen.stores);
	holds(kring_want_space(&p));
	kring_got_space(&p);
	holds(p.fault == fault && p.tail == before.tail && p.head == before.head);
	holds(p.submitted == before.submitted);
}

/* Bytes that a frame takes at @pos, with the skip that it may need. */
static uint64_t bytes_at(uint32_t pos, uint64_t len)
{
	uint64_t bytes = frame_bytes(len);

	return pos + bytes > ring.size ? ring.size - pos + bytes : bytes;
}

/* One kring_reserve(). False: no room. */
static bool reserve(uint32_t len, struct kring_frame *f)
{
	struct kring_producer before = p;
	uint32_t pos = p.head & (ring.size - 1);
	uint32_t tail = p.tail;
	uint64_t need = bytes_at(pos, len);
	bool short_of = p.head - p.tail + need > ring.size;
	int err;

	begin();
	*f = (struct kring_frame) { 0 };
	err = kring_reserve(&p, len, f);
	holds(p.head == before.head && p.submitted == before.submitted);
	holds(!seen.stores && !seen.own && !seen.want && !seen.lengths);
	if (!len || len > ring.send_max) {
		holds(err == (len ? -EMSGSIZE : -EINVAL));
		holds(!seen.peer && p.tail == before.tail && !p.fault);
		return false;
	}
	/* It fits a ring that is empty, wherever that is. */
	holds(need <= ring.size);
	holds(seen.peer == short_of);
	if (seen.peer) {
		tail = seen.peer_value;
		if (p.head - tail > ring.size) {
			holds(err == -EBADMSG && p.tail == before.tail);
			producer_poisoned();
			return false;
		}
	}
	holds(!p.fault && p.tail == tail);
	if (p.head - tail + need > ring.size) {
		holds(err == -EAGAIN && p.want == need);
		return false;
	}
	holds(!err && !p.want);
	frame_is_inside(f);
	holds(f->len == len);
	holds(f->cursor == p.head + (uint32_t)(need - frame_bytes(len)));
	return true;
}

static void commit(struct kring_frame *f)
{
	struct kring_producer before = p;
	uint32_t pos = p.head & (ring.size - 1);
	uint32_t at = f->cursor & (ring.size - 1);
	uint32_t i;

	((volatile uint8_t *)f->payload)[0] = 0xee;
	((volatile uint8_t *)f->payload)[f->len - 1] = 0xee;
	begin();
	kring_commit(&p, f);
	holds(!seen.own && !seen.peer && !seen.want && !seen.lengths);
	holds(p.head == f->cursor + (uint32_t)frame_bytes(f->len));
	holds(p.head - p.tail <= ring.size);
	holds(p.submitted == before.submitted && p.tail == before.tail);
	for (i = 0; i < ring.header; i++)
		holds(ring.data[at + i] == (i < 4 ? f->len >> 8 * i & 0xff : 0));
	holds(f->payload[0] == 0xee && f->payload[f->len - 1] == 0xee);
	if (f->cursor != before.head && ring.size - pos >= ring.header)
		for (i = 0; i < ring.header; i++)
			holds(!ring.data[pos + i]);
}

static void submit(void)
{
	bool kick;

	begin();
	kick = kring_submit(&p);
	holds(own_cursor == p.head && p.submitted == p.head && !kring_unsubmitted(&p));
	holds(seen.stores == 1 && !seen.peer && !seen.own);
	holds(seen.want == (ring.want_data ? 1 : 0));
	holds(kick == (!ring.want_data || seen.want_value));
}

static void producer_check(void)
{
	bool moved = choose(2);
	int err;

	begin();
	own_cursor += moved;
	err = kring_producer_check(&p);
	own_cursor -= moved;
	holds(err == (moved ? -EBADMSG : 0));
	if (moved)
		producer_poisoned();
}

static void want_space(void)
{
	uint32_t need = p.want ? p.want : 2 * frame_bytes(1);
	bool writable;

	begin();
	own_want = 0;
	writable = kring_want_space(&p);
	holds(own_want == (ring.want_space ? need : 0));
	holds(writable == (p.fault || ring.size - (p.head - p.tail) >= need));
	holds(need <= ring.size);
	holds(seen.peer <= 1 && !seen.own && !seen.lengths);
	if (p.fault)
		holds(p.head - seen.peer_value > ring.size);
	kring_got_space(&p);
	holds(!own_want);
}

static void producer(void)
{
	struct kring_frame f;
	uint32_t len;
	int err;

	role = PRODUCER;
	brief = false;
	begin();
	own_cursor = any_cursor();
	/* Loaded first, and what the distance is from. */
	p.head = own_cursor;
	err = kring_producer_attach(&p, &ring);
	holds(p.head == own_cursor && p.submitted == own_cursor && p.tail == seen.peer_value);
	holds(seen.own == 1 && seen.peer == 1 && !seen.stores);
	if (p.head - p.tail > ring.size || p.head % ring.align) {
		holds(err == -EBADMSG);
		producer_poisoned();
		return;
	}
	holds(!err && !p.fault && !p.want);

	len = any_length();
	brief = true;
	if (reserve(len, &f)) {
		const uint32_t lower[] = { f.len, f.len - 1, 1 };

		f.len = lower[choose(f.len > 1 ? 3 : 1)];
		commit(&f);
	}
	if (p.fault || !len || len > ring.send_max)
		return;
	if (choose(2))
		submit();
	switch (choose(3)) {
	case 0:
		if (reserve(choose(2) ? ring.send_max : 1, &f))
			commit(&f);
		if (!p.fault)
			submit();
		break;
	case 1:
		producer_check();
		break;
	case 2:
		want_space();
		break;
	}
}

/*
 * Both, honest: what was sent arrives, whatever the data held before.
 */
static void both(void)
{
	uint32_t at, n, frames = 0, len[3] = { 0 };
	struct kring_frame f;
	int err;

	role = HONEST;
	at = any_cursor() & -ring.align;
	words[0] = at;
	words[1] = at;
	words[2] = 0;
	words[3] = 0;
	memset(ring.data, choose(2) ? 0 : 0xff, ring.size);
	holds(!kring_producer_attach(&p, &ring) && !kring_consumer_attach(&c, &ring));
	for (n = 0; n < ARRAY_SIZE(len); n++) {
		len[n] = n < 2 ? 1 + choose(ring.send_max) : choose(2) ? ring.send_max : 1;
		err = kring_reserve(&p, len[n], &f);
		holds(!err || err == -EAGAIN);
		holds(!err || n);
		if (err)
			break;
		memset(f.payload, 0xa0 + n, len[n]);
		kring_commit(&p, &f);
		frames++;
	}
	if (frames < ARRAY_SIZE(len))
		holds(!kring_writable(&p));
	holds(kring_submit(&p) == !ring.want_data);
	for (n = 0; n < frames; n++) {
		holds(!kring_peek(&c, &f) && f.len == len[n]);
		frame_is_inside(&f);
		holds(f.payload[0] == 0xa0 + n && f.payload[f.len - 1] == 0xa0 + n);
		kring_advance(&c, &f);
	}
	holds(kring_peek(&c, &f) == -EAGAIN);
	kring_release(&c);
	holds(words[0] == words[1] && kring_writable(&p) && !kring_readable(&c));
}

static void ring_of(enum kring_format format, uint32_t size)
{
	const bool native = format == KRING_FORMAT_NATIVE;
	const struct kring_place place = {
		.head = HEAD,
		.want_space = native ? WANT_SPACE : 0,
		.tail = TAIL,
		.want_data = native ? WANT_DATA : 0,
		.data = DATA,
		.size = size,
	};

	geometry = native ? "native" : "AMRB";
	kring_place_ring(&place, format, memory, &ring);
	ASAN_POISON_MEMORY_REGION(memory, sizeof(memory));
	ASAN_UNPOISON_MEMORY_REGION(ring.data, ring.size);
}

static void explore(const char *what, void (*run)(void))
{
	uint64_t before = states;

	memset(&p, 0, sizeof(p));
	memset(&c, 0, sizeof(c));
	memset(&schedule, 0, sizeof(schedule));
	memset(ring.data, 0xff, ring.size);
	do {
		run();
	} while (next_schedule());
	ok(true, "%s, size %u, %s: %llu states", geometry, ring.size, what,
	   (unsigned long long)(states - before));
}

int main(void)
{
	static const struct {
		enum kring_format format;
		uint32_t size;
	} rings[] = {
		{ KRING_FORMAT_NATIVE, 64 },
		{ KRING_FORMAT_AMRB, 16 },
		{ KRING_FORMAT_AMRB, 32 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		ring_of(rings[i].format, rings[i].size);
		explore("each consumer's peer", consumer);
		explore("each producer's peer", producer);
		explore("honest traffic", both);
	}
	ok(states >= 6000000, "enough of them");
	printf("states=%llu\n", (unsigned long long)states);
	return tap_done();
}
