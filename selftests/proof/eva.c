// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What Frama-C's Eva runs: the check of any header, and each verb of a ring from any private
 * state, each load of shared memory returning anything.
 *
 * A verb is run once, from more states than a sequence of verbs can reach: the cursors are any,
 * however far apart, but for the own one being aligned, which each verb has to keep. So what
 * holds of each holds of any sequence. To tell apart where the own cursor is in the ring, and how
 * long a frame is, each of these has a state of its own; what lies between is any, as intervals.
 *
 * RUN is header or verbs, SIZE the ring's, AMRB tells the format from the native one.
 */
#include "env.h"
#include <linux/kring.h>
#include <kring/ring.h>

#undef memcpy
#define memcpy(to, from, n)	proof_copy((void *)(to), (const void *)(from), n)
static void proof_copy(char *to, const char *from, size_t n);
#include <kring/region.h>

#ifdef AMRB
#define FORMAT	KRING_FORMAT_AMRB
#define ALIGN	1
#define WANT(at)	NULL
#else
#define FORMAT	KRING_FORMAT_NATIVE
#define ALIGN	8
#define WANT(at)	(at)
#endif

/* Each reading of these is any value. */
static volatile __u8 any8;
static volatile __u32 any32;
static volatile __u64 any64;

/* The ring's parts are variables of their own: an access outside of one is an alarm. */
static __le32 head, want_space, tail, want_data;
static __u8 data[SIZE];

static struct kring_producer p;
static struct kring_consumer c;
static struct kring_frame f;
static const char *const told = "a fault";

/*
 * Which byte of a length is read. Lengths are told apart where they are less than the ring's
 * size, by the lowest byte; of the others one is not 0, and any.
 */
static unsigned int loaded;
static unsigned int large;

__u8 proof_load8(const __u8 *at)
{
	__u8 v = any8;

	//@ assert readable: \valid_read(at);
	if (loaded++ % 4 == 0) {
		large = 0;
		if (v < SIZE) {
			//@ split v;
			return v;
		}
		large = 1;
	} else if (!large && v) {
		large = 1;
	} else if (!large) {
		return 0;
	}
	return v;
}

__u32 proof_load32(const __u32 *at)
{
	//@ assert readable: \valid_read(at);
	return any32;
}

void proof_store8(__u8 *at, __u8 v)
{
	*at = v;
}

void proof_store32(__u32 *at, __u32 v)
{
	*at = v;
}

void proof_fence(void)
{
}

void proof_fill(__u8 *at, int v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		at[i] = v;
}

static void proof_copy(char *to, const char *from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] = from[i];
}

/* Numbers are the shipped code's; the addresses are of the variables above. */
static void ring_make(struct kring_ring *r)
{
	static const struct kring_place place = { .size = SIZE };
	static __u8 base[1];

	kring_place_ring(&place, FORMAT, base, r);
	r->head = &head;
	r->tail = &tail;
	r->want_space = WANT(&want_space);
	r->want_data = WANT(&want_data);
	r->data = data;
}

/* Any cursor that is at @pos in the ring. */
static __u32 cursor_at(__u32 pos)
{
	return any32 * SIZE + pos;
}

static void frame_fill(__u8 v)
{
	__u32 i;

	for (i = 0; i < f.len; i++)
		f.payload[i] = v;
}

static void produce(__u32 pos, __u32 len)
{
	int err;

	p.head = cursor_at(pos);
	p.submitted = any32;
	p.tail = any32;
	p.want = any32;
	p.fault = any8 ? NULL : told;

	err = kring_reserve(&p, len, &f);
	//@ assert outcome: err == 0 || err == -11 || err == -22 || err == -90 || err == -74;
	//@ assert told: err != -74 || p.fault != \null;
	if (err)
		return;
	frame_fill(any8);
	kring_commit(&p, &f);
	//@ assert aligned: p.head % ALIGN == 0;
}

static void produce_else(__u32 pos)
{
	int err;

	p.head = cursor_at(pos);
	p.submitted = any32;
	p.tail = any32;
	p.want = any32;
	p.fault = any8 ? NULL : told;

	switch (any8) {
	case 0:
		ring_make(&p.ring);
		err = kring_producer_attach(&p, &p.ring);
		//@ assert outcome: err == 0 || err == -74;
		//@ assert told: err == 0 || p.fault != \null;
		break;
	case 1:
		err = kring_producer_check(&p);
		//@ assert told: err == 0 || p.fault != \null;
		break;
	case 2:
		kring_submit(&p);
		break;
	case 3:
		kring_writable(&p);
		break;
	case 4:
		kring_want_space(&p);
		break;
	case 5:
		kring_got_space(&p);
		break;
	default:
		kring_unsubmitted(&p);
		break;
	}
}

static void consume(__u32 pos)
{
	__u32 last;
	int err;

	c.tail = cursor_at(pos);
	c.released = any32;
	c.head = any32;
	c.fault = any8 ? NULL : told;
	loaded = 0;
	large = 0;

	err = kring_peek(&c, &f);
	//@ assert outcome: err == 0 || err == -11 || err == -74;
	//@ assert told: err != -74 || c.fault != \null;
	//@ assert aligned: c.tail % ALIGN == 0;
	if (err)
		return;
	//@ assert some: 1 <= f.len;
	last = f.payload[f.len - 1];
	last = f.payload[0];
	kring_advance(&c, &f);
	//@ assert aligned: c.tail % ALIGN == 0;
}

static void consume_else(__u32 pos)
{
	int err;

	c.tail = cursor_at(pos);
	c.released = any32;
	c.head = any32;
	c.fault = any8 ? NULL : told;

	switch (any8) {
	case 0:
		err = kring_consumer_attach(&c, &c.ring);
		//@ assert outcome: err == 0 || err == -74;
		//@ assert told: err == 0 || c.fault != \null;
		break;
	case 1:
		err = kring_consumer_check(&c);
		//@ assert told: err == 0 || c.fault != \null;
		break;
	case 2:
		kring_release(&c);
		break;
	case 3:
		kring_readable(&c);
		break;
	case 4:
		kring_want_data(&c);
		break;
	case 5:
		kring_got_data(&c);
		break;
	default:
		kring_unreleased(&c);
		break;
	}
}

/* Any bytes at all as a header, and what kring_header_check() lets pass. */
static void header(void)
{
	static union kring_any_header any, before;
	struct kring_layout l;
	struct kring_fault fault;
	struct kring_ring h2g, g2h;
	static __u8 base[1];
	__u64 i, size = any64;
	int err;

	for (i = 0; i < sizeof(any); i++) {
		((__u8 *)&any)[i] = any8;
		((__u8 *)&before)[i] = any8;
	}
	kring_header_settle(&any, &before);
	err = kring_header_check(&any, size, &l, &fault);
	//@ assert outcome: err == 0 || err == -19 || err == -11 || err == -93 || err == -22;
	if (err) {
		//@ assert told: \valid_read(fault.field) && \valid_read(fault.why);
		return;
	}
	//@ assert h2g_size: 16 <= l.h2g.size <= KRING_SIZE_MAX;
	//@ assert g2h_size: 16 <= l.g2h.size <= KRING_SIZE_MAX;
	kring_layout_rings(&l, base, &h2g, &g2h);
}

static void verbs(void)
{
	__u32 pos, len;

	ring_make(&p.ring);
	ring_make(&c.ring);
	for (pos = 0; pos < SIZE; pos += ALIGN) {
		produce_else(pos);
		consume_else(pos);
		consume(pos);
		for (len = 0; len <= SIZE; len++)
			produce(pos, len);
		len = any32;
		if (len > SIZE)
			produce(pos, len);
	}
}

int main(void)
{
	RUN();
	return 0;
}
