// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What each verb of the ring requires and ensures, for Frama-C's WP to prove of the shipped
 * header: for each private state that meets the invariant, and any words and bytes of the peer.
 *
 * SIZE is the ring's, AMRB tells the format from the native one; "wp" runs this for each that
 * kring_header_check() lets pass.
 */
#include "env.h"
#include <linux/kring.h>
#include <kring/ring.h>
#include <kring/region.h>

#ifdef AMRB
#define FORMAT		KRING_FORMAT_AMRB
#define HEADER		4
#define ALIGN		1
#define MAX \
	(SIZE - HEADER < KRING_AMRB_FRAME_MAX ? SIZE - HEADER : KRING_AMRB_FRAME_MAX)
#define WANTS(r, has)	((r)->want_space == \null && (r)->want_data == \null)
#else
#define FORMAT		KRING_FORMAT_NATIVE
#define HEADER		8
#define ALIGN		8
#define MAX		(SIZE / 2 - HEADER)
#define WANTS(r, has)	(has)
#endif
#define SEND_MAX	(SIZE / 2 - HEADER < MAX ? SIZE / 2 - HEADER : MAX)

/*
 * Masks as arithmetic: of what SIZE and ALIGN are here, "wp" has a prover of bit-vectors show
 * that these are so for all 32-bit words.
 */
/*@ axiomatic masks {
  @   axiom size_mask: \forall integer x;
  @     0 <= x <= 0xffffffff ==> (x & (SIZE - 1)) == x % SIZE;
  @   axiom size_mask_left: \forall integer mask, x; mask == SIZE - 1 ==>
  @     0 <= x <= 0xffffffff ==> (mask & x) == x % SIZE;
  @   axiom size_mask_right: \forall integer x, mask; mask == SIZE - 1 ==>
  @     0 <= x <= 0xffffffff ==> (x & mask) == x % SIZE;
  @   axiom align_mask: \forall integer x;
  @     0 <= x <= 0xffffffff ==> (x & (ALIGN - 1)) == x % ALIGN;
  @   axiom align_down: \forall integer x;
  @     0 <= x <= 0xffffffff ==> (x & (0x100000000 - ALIGN)) == x - x % ALIGN;
  @   axiom shift8: \forall integer x; 0 <= x <= 0xff ==> (x << 8) == x * 0x100;
  @   axiom shift16: \forall integer x; 0 <= x <= 0xff ==> (x << 16) == x * 0x10000;
  @   axiom all: \forall integer x;
  @     0 <= x <= 0xffffffff ==> (x & 0xffffffff) == x;
  @ }
  @*/

/*
 * What conversion to 32 bits is, once around: WP's own theory only says that it keeps what fits.
 */
/*@ axiomatic conversion {
  @   axiom over: \forall integer x;
  @     0x100000000 <= x < 0x200000000 ==> (__u32)x == x - 0x100000000;
  @   axiom under: \forall integer x;
  @     -0x100000000 <= x < 0 ==> (__u32)x == x + 0x100000000;
  @ }
  @*/

/*
 * Macros, not predicates: only so the provers get to see the numbers at once.
 */
#define POS(cursor)		((cursor) % SIZE)
#define DISTANCE(head, tail)	((__u32)((head) - (tail)))
#define PADDED(len)		(HEADER + (len) + (ALIGN - 1))
#define WHOLE(len)		(PADDED(len) - PADDED(len) % ALIGN)
#define DATA(r)			((r)->data + (0 .. SIZE - 1))

/*
 * Wherever the caller has them, they are called this here: so the provers need not find out each
 * time that they do not overlap.
 */
static struct kring_producer the_producer;
static struct kring_consumer the_consumer;
static struct kring_ring the_ring;
static struct kring_frame the_frame;

/* As kring_place_ring() makes it. */
#define GEOMETRY(r) ( \
	(r)->size == SIZE && (r)->header == HEADER && (r)->align == ALIGN && \
	(r)->max == MAX && (r)->send_max == SEND_MAX)

/*
 * The producer may write its own words and the data, the consumer its own words alone. None of
 * them is another one, nor the private state.
 */
#define PRODUCER_RING(p, r) ( \
	(p) == &the_producer && GEOMETRY(r) && \
	\valid(DATA(r)) && \valid((r)->head) && \valid_read((r)->tail) && \
	\separated(p, &the_ring, &the_frame, DATA(r), (r)->head, (r)->tail) && \
	WANTS(r, \valid((r)->want_space) && \valid_read((r)->want_data) && \
		 \separated(p, &the_ring, &the_frame, DATA(r), (r)->head, (r)->tail, \
			    (r)->want_space, (r)->want_data)))
#define CONSUMER_RING(c, r) ( \
	(c) == &the_consumer && GEOMETRY(r) && \
	\valid_read(DATA(r)) && \valid_read((r)->head) && \valid((r)->tail) && \
	\separated(c, &the_ring, &the_frame, DATA(r), (r)->head, (r)->tail) && \
	WANTS(r, \valid_read((r)->want_space) && \valid((r)->want_data) && \
		 \separated(c, &the_ring, &the_frame, DATA(r), (r)->head, (r)->tail, \
			    (r)->want_space, (r)->want_data)))

/* What each verb may rely on, and keeps. */
#define PRODUCER_STATE(p) ( \
	(p)->want <= SIZE && \
	((p)->fault != \null || \
		(p)->head % ALIGN == 0 && DISTANCE((p)->head, (p)->tail) <= SIZE))
#define CONSUMER_STATE(c) ( \
	(c)->fault != \null || \
		(c)->tail % ALIGN == 0 && DISTANCE((c)->head, (c)->tail) <= SIZE)
#define PRODUCER(p)	(PRODUCER_RING(p, &(p)->ring) && PRODUCER_STATE(p))
#define CONSUMER(c)	(CONSUMER_RING(c, &(c)->ring) && CONSUMER_STATE(c))

/* A frame lies in the data: it begins there where its cursor says, and ends before the end. */
#define PLACED(r, f) \
	((f)->payload == (r)->data + (POS((f)->cursor) + HEADER))
#define INSIDE(f) ( \
	POS((f)->cursor) + WHOLE((f)->len) <= SIZE)
/* It begins at the own cursor or, when that is not at the start, at the next start. */
#define ONE_SKIP(at, f) ( \
	(f)->cursor == (at) || \
	(POS(at) != 0 && (f)->cursor == (__u32)((at) + SIZE - POS(at))))
/* It and the skip before it are free, or published. */
#define ROOM(p, f) \
	(DISTANCE((f)->cursor, (p)->head) + WHOLE((f)->len) <= \
	 SIZE - DISTANCE((p)->head, (p)->tail))
#define PUBLISHED(c, f) \
	(DISTANCE((f)->cursor, (c)->tail) + WHOLE((f)->len) <= \
	 DISTANCE((c)->head, (c)->tail))

/*@ requires \valid_read(place) && \separated(place, r) && r == &the_ring;
  @ requires place->size == SIZE && format == FORMAT;
  @ assigns *r;
  @ ensures geometry: GEOMETRY(r);
  @ ensures data: r->data == base + place->data;
  @*/
static inline void kring_place_ring(const struct kring_place *place, enum kring_format format,
				    __u8 *base, struct kring_ring *r);

/*@ requires \valid_read(at + (0 .. 3));
  @ assigns \nothing;
  @*/
static inline __u32 kring_load_len(const __u8 *at);

/*@ requires \valid(at + (0 .. 3));
  @ assigns at[0 .. 3];
  @*/
static inline void kring_store_len(__u8 *at, __u32 len);

/*@ requires \valid_read(r) && GEOMETRY(r);
  @ requires len <= MAX;
  @ assigns \nothing;
  @ ensures size: \result == WHOLE(len);
  @ ensures aligned: \result % ALIGN == 0;
  @ ensures least: \result >= HEADER + len;
  @ ensures most: \result <= HEADER + len + ALIGN - 1;
  @*/
static inline __u32 kring_frame_size(const struct kring_ring *r, __u32 len);

/*@ requires p == &the_producer && fault != \null;
  @ assigns p->fault;
  @ ensures \result == -EBADMSG;
  @ ensures p->fault == fault;
  @*/
static inline int kring_producer_poison(struct kring_producer *p, const char *fault);

/*@ requires c == &the_consumer && fault != \null;
  @ assigns c->fault;
  @ ensures \result == -EBADMSG;
  @ ensures c->fault == fault;
  @*/
static inline int kring_consumer_poison(struct kring_consumer *c, const char *fault);

/*@ requires r == &the_ring && PRODUCER_RING(p, r);
  @ assigns *p;
  @ ensures outcome: \result == 0 || \result == -EBADMSG;
  @ ensures poisoned: \result == 0 <==> p->fault == \null;
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline int kring_producer_attach(struct kring_producer *p, const struct kring_ring *r);

/*@ requires r == &the_ring && CONSUMER_RING(c, r);
  @ assigns *c;
  @ ensures outcome: \result == 0 || \result == -EBADMSG;
  @ ensures poisoned: \result == 0 <==> c->fault == \null;
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline int kring_consumer_attach(struct kring_consumer *c, const struct kring_ring *r);

/*@ requires PRODUCER(p);
  @ assigns p->fault;
  @ ensures outcome: \result == 0 || \result == -EBADMSG;
  @ ensures poisoned: \result == 0 <==> p->fault == \null;
  @ ensures first: \old(p->fault) != \null ==> p->fault == \old(p->fault);
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline int kring_producer_check(struct kring_producer *p);

/*@ requires CONSUMER(c);
  @ assigns c->fault;
  @ ensures outcome: \result == 0 || \result == -EBADMSG;
  @ ensures poisoned: \result == 0 <==> c->fault == \null;
  @ ensures first: \old(c->fault) != \null ==> c->fault == \old(c->fault);
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline int kring_consumer_check(struct kring_consumer *c);

/*@ requires PRODUCER(p) && p->fault == \null;
  @ assigns p->fault, p->tail;
  @ ensures outcome: \result == 0 || \result == -EBADMSG;
  @ ensures poisoned: \result == 0 <==> p->fault == \null;
  @ ensures kept: \result != 0 ==> p->tail == \old(p->tail);
  @ ensures same_ring: GEOMETRY(&p->ring) && p->ring.data == \old(p->ring.data);
  @ ensures same_state: p->head == \old(p->head) && p->want == \old(p->want);
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline int kring_load_tail(struct kring_producer *p);

/*@ requires CONSUMER(c) && c->fault == \null;
  @ assigns c->fault, c->head;
  @ ensures outcome: \result == 0 || \result == -EBADMSG;
  @ ensures poisoned: \result == 0 <==> c->fault == \null;
  @ ensures kept: \result != 0 ==> c->head == \old(c->head);
  @ ensures same_ring: GEOMETRY(&c->ring) && c->ring.data == \old(c->ring.data);
  @ ensures same_state: c->tail == \old(c->tail);
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline int kring_load_head(struct kring_consumer *c);

/*@ requires PRODUCER(p) && f == &the_frame;
  @ assigns p->tail, p->want, p->fault, *f;
  @ ensures outcome: \result == 0 || \result == -EAGAIN || \result == -EINVAL ||
  @   \result == -EMSGSIZE || \result == -EBADMSG;
  @ ensures poisoned: \result == -EBADMSG <==> p->fault != \null;
  @ ensures first: \old(p->fault) != \null ==> p->fault == \old(p->fault);
  @ ensures none: \result == -EINVAL <==> \old(p->fault) == \null && len == 0;
  @ ensures long: \result == -EMSGSIZE <==> \old(p->fault) == \null && len > SEND_MAX;
  @ ensures short: \result == -EAGAIN ==> p->want > SIZE - DISTANCE(p->head, p->tail);
  @ ensures fits_some_day: \result == -EAGAIN ==> 0 < p->want <= SIZE;
  @ ensures asked: \result == 0 ==> f->len == len <= SEND_MAX;
  @ ensures not_short: \result == 0 ==> p->want == 0;
  @ ensures placed: \result == 0 ==> PLACED(&p->ring, f);
  @ ensures bytes: \result == 0 ==> f->len >= 1;
  @ ensures aligned: \result == 0 ==> f->cursor % ALIGN == 0;
  @ ensures inside: \result == 0 ==> INSIDE(f);
  @ ensures skip: \result == 0 ==> ONE_SKIP(p->head, f);
  @ ensures room: \result == 0 ==> ROOM(p, f);
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline int kring_reserve(struct kring_producer *p, __u32 len, struct kring_frame *f);

/*@ requires PRODUCER(p) && p->fault == \null;
  @ requires f == &the_frame;
  @ requires f->len <= SEND_MAX && f->len >= 1 && f->cursor % ALIGN == 0;
  @ requires PLACED(&p->ring, f) && INSIDE(f) && ONE_SKIP(p->head, f) && ROOM(p, f);
  @ assigns p->head, p->ring.data[POS(p->head) .. POS(p->head) + HEADER - 1],
  @   p->ring.data[POS(f->cursor) .. POS(f->cursor) + HEADER - 1];
  @ ensures behind: p->head == (__u32)(f->cursor + WHOLE(f->len));
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline void kring_commit(struct kring_producer *p, const struct kring_frame *f);

/*@ requires PRODUCER(p);
  @ assigns p->submitted, *p->ring.head;
  @ ensures published: p->submitted == p->head;
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline bool kring_submit(struct kring_producer *p);

/*@ requires CONSUMER(c) && f == &the_frame;
  @ assigns c->tail, c->head, c->fault, *f;
  @ ensures outcome: \result == 0 || \result == -EAGAIN || \result == -EBADMSG;
  @ ensures poisoned: \result == -EBADMSG <==> c->fault != \null;
  @ ensures first: \old(c->fault) != \null ==> c->fault == \old(c->fault);
  @ ensures kept: \result != -EAGAIN ==> c->tail == \old(c->tail);
  @ ensures empty: \result == -EAGAIN ==> c->head == c->tail;
  @ ensures skipped: \result == -EAGAIN ==> c->tail == \old(c->tail) ||
  @   (POS(\old(c->tail)) != 0 &&
  @    c->tail == (__u32)(\old(c->tail) + (SIZE - POS(\old(c->tail)))));
  @ ensures allowed: \result == 0 ==> f->len <= MAX;
  @ ensures placed: \result == 0 ==> PLACED(&c->ring, f);
  @ ensures bytes: \result == 0 ==> f->len >= 1;
  @ ensures aligned: \result == 0 ==> f->cursor % ALIGN == 0;
  @ ensures inside: \result == 0 ==> INSIDE(f);
  @ ensures skip: \result == 0 ==> ONE_SKIP(c->tail, f);
  @ ensures published: \result == 0 ==> PUBLISHED(c, f);
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline int kring_peek(struct kring_consumer *c, struct kring_frame *f);

/*@ requires CONSUMER(c) && c->fault == \null && f == &the_frame;
  @ requires f->len <= MAX && f->len >= 1 && f->cursor % ALIGN == 0;
  @ requires PLACED(&c->ring, f) && INSIDE(f) && ONE_SKIP(c->tail, f) && PUBLISHED(c, f);
  @ assigns c->tail;
  @ ensures behind: c->tail == (__u32)(f->cursor + WHOLE(f->len));
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline void kring_advance(struct kring_consumer *c, const struct kring_frame *f);

/*@ requires CONSUMER(c);
  @ assigns c->released, *c->ring.tail;
  @ ensures given_back: c->released == c->tail;
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline bool kring_release(struct kring_consumer *c);

/*@ requires PRODUCER(p);
  @ assigns \nothing;
  @*/
static inline bool kring_unsubmitted(const struct kring_producer *p);

/*@ requires CONSUMER(c);
  @ assigns \nothing;
  @*/
static inline bool kring_unreleased(const struct kring_consumer *c);

/*@ requires CONSUMER(c);
  @ assigns c->head, c->fault;
  @ ensures something: \result != 0 <==> c->fault != \null || c->head != c->tail;
  @ ensures kept: \old(c->fault == \null && c->head != c->tail) ==>
  @   c->head == \old(c->head) && c->fault == \null;
  @ ensures first: \old(c->fault) != \null ==> c->fault == \old(c->fault);
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline bool kring_readable(struct kring_consumer *c);

/*@ requires PRODUCER(p);
  @ assigns p->tail, p->fault;
  @ ensures first: \old(p->fault) != \null ==> p->fault == \old(p->fault);
  @ ensures error: p->fault != \null ==> \result != 0;
  @ ensures fits: p->fault == \null && p->want != 0 ==>
  @   (\result != 0 <==> p->want <= SIZE - DISTANCE(p->head, p->tail));
  @ ensures any_fits: p->fault == \null && p->want == 0 ==>
  @   (\result != 0 <==> 2 * WHOLE(1) <= SIZE - DISTANCE(p->head, p->tail));
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline bool kring_writable(struct kring_producer *p);

/*@ requires CONSUMER(c);
  @ assigns c->head, c->fault, *c->ring.want_data;
  @ ensures something: \result != 0 <==> c->fault != \null || c->head != c->tail;
  @ ensures kept: \old(c->fault == \null && c->head != c->tail) ==>
  @   c->head == \old(c->head) && c->fault == \null;
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline bool kring_want_data(struct kring_consumer *c);

/*@ requires CONSUMER(c);
  @ assigns *c->ring.want_data;
  @ ensures invariant: CONSUMER_STATE(c);
  @*/
static inline void kring_got_data(struct kring_consumer *c);

/*@ requires PRODUCER(p);
  @ assigns p->tail, p->fault, *p->ring.want_space;
  @ ensures error: p->fault != \null ==> \result != 0;
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline bool kring_want_space(struct kring_producer *p);

/*@ requires PRODUCER(p);
  @ assigns *p->ring.want_space;
  @ ensures invariant: PRODUCER_STATE(p);
  @*/
static inline void kring_got_space(struct kring_producer *p);
