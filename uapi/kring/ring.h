/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * The ring: one producer, one consumer, variable-sized frames, hostile peer.
 *
 * The one ring algorithm of kring, compiled into the kernel module, the library and the
 * tests. Verbs, mirrored on both sides:
 *
 *	producer	kring_reserve()	 kring_commit()	  kring_submit()   kring_want_space()
 *	consumer	kring_peek()	 kring_advance()  kring_release()  kring_want_data()
 *
 * reserve and commit, or peek and advance, may be repeated; submit or release then
 * publishes the whole batch at once, and says whether the peer needs a kick.
 *
 * Trust. Each side keeps its own cursor here, in private memory, and reads it from the
 * region only when it attaches. Every word that the peer writes is read once, checked,
 * and used from the local copy. The first word that makes no sense poisons this side of
 * the ring: each verb answers -EBADMSG from then on, and the fault says why.
 *
 * Barriers. A name is given where a barrier stands below; it pairs with the primed one.
 *
 *	producer				consumer
 *
 *	LOAD.acquire tail	(D')		LOAD.acquire head	(A')
 *	write frames				read frames
 *	STORE.release head	(A)		STORE.release tail	(D)
 *	FULL			(B)		FULL			(E)
 *	LOAD want_data				LOAD want_space
 *
 *	STORE want_space			STORE want_data
 *	FULL			(E')		FULL			(B')
 *	LOAD tail, sleep if short		LOAD head, sleep if empty
 *
 *	A, A'	whoever sees the new head sees the frames before it.
 *	D, D'	whoever sees the new tail may overwrite what was read before it.
 *	B, B'	a frame is published, or a sleep announced, first: the producer sees
 *		want_data, or the consumer sees the frame. Never neither.
 *	E, E'	the same for space.
 *
 * Clearing a want field needs no barrier: seen late, it costs one kick too many.
 */
#ifndef _KRING_RING_H
#define _KRING_RING_H

#include <kring/barrier.h>

/**
 * struct kring_ring - geometry: where one ring is mapped, and how frames lie in it
 * @head: producer's cursor, in the region
 * @want_space: what the producer waits for, in the region; NULL: the format has no
 *	such field, and each release kicks
 * @tail: consumer's cursor, in the region
 * @want_data: whether the consumer waits, in the region; NULL: each submit kicks
 * @data: first byte of the data, in the region
 * @size: bytes of data, a power of two
 * @header: bytes from a frame's start to its payload; its first four are the length
 * @align: frames begin at multiples of this, a power of two
 * @max: largest payload that a frame may have
 * @send_max: largest payload that always fits, wherever the ring is: what we send
 */
struct kring_ring {
	__le32 *head;
	__le32 *want_space;
	__le32 *tail;
	__le32 *want_data;
	__u8 *data;
	__u32 size;
	__u32 header;
	__u32 align;
	__u32 max;
	__u32 send_max;
};

/**
 * struct kring_producer - the producing side's private state
 * @ring: geometry
 * @head: where the next frame goes
 * @submitted: the head that is published
 * @tail: the consumer's cursor as last read and checked
 * @want: bytes that the last kring_reserve() was short of, 0: it was not
 * @fault: NULL, or why this side is poisoned
 */
struct kring_producer {
	struct kring_ring ring;
	__u32 head;
	__u32 submitted;
	__u32 tail;
	__u32 want;
	const char *fault;
};

/**
 * struct kring_consumer - the consuming side's private state
 * @ring: geometry
 * @tail: where the next frame is
 * @released: the tail that is published
 * @head: the producer's cursor as last read and checked
 * @fault: NULL, or why this side is poisoned
 */
struct kring_consumer {
	struct kring_ring ring;
	__u32 tail;
	__u32 released;
	__u32 head;
	const char *fault;
};

/**
 * struct kring_frame - one frame in the data
 * @payload: its bytes, in the region
 * @len: how many
 * @cursor: where the frame's header begins
 */
struct kring_frame {
	__u8 *payload;
	__u32 len;
	__u32 cursor;
};

/* A length may be at any address. Each of its bytes is read once. */
static inline __u32 kring_load_len(const __u8 *at)
{
	return READ_ONCE(at[0]) | READ_ONCE(at[1]) << 8 | READ_ONCE(at[2]) << 16 |
	       (__u32)READ_ONCE(at[3]) << 24;
}

static inline void kring_store_len(__u8 *at, __u32 len)
{
	WRITE_ONCE(at[0], len);
	WRITE_ONCE(at[1], len >> 8);
	WRITE_ONCE(at[2], len >> 16);
	WRITE_ONCE(at[3], len >> 24);
}

/* Bytes that a frame of @len takes; @len is at most kring_ring.max. */
static inline __u32 kring_frame_size(const struct kring_ring *r, __u32 len)
{
	return (r->header + len + r->align - 1) & ~(r->align - 1);
}

static inline int kring_producer_poison(struct kring_producer *p, const char *fault)
{
	p->fault = fault;
	return -EBADMSG;
}

static inline int kring_consumer_poison(struct kring_consumer *c, const char *fault)
{
	c->fault = fault;
	return -EBADMSG;
}

/**
 * kring_producer_attach() - take up the producing side where the region has it
 * @p: state to fill
 * @r: geometry, checked before
 *
 * Return: 0, or -EBADMSG: the cursors are nonsense, and @p is poisoned.
 */
static inline int kring_producer_attach(struct kring_producer *p, const struct kring_ring *r)
{
	p->ring = *r;
	p->want = 0;
	p->fault = NULL;
	/* Our own: nothing to order it with. */
	p->head = le32_to_cpu(READ_ONCE(*r->head));
	p->submitted = p->head;
	p->tail = le32_to_cpu(kring_load_acquire(r->tail));	/* D' */
	if (p->head - p->tail > r->size)
		return kring_producer_poison(p, "head is more than the ring's size from tail");
	if (p->head & (r->align - 1))
		return kring_producer_poison(p, "head is not aligned");
	return 0;
}

/**
 * kring_consumer_attach() - take up the consuming side where the region has it
 * @c: state to fill
 * @r: geometry, checked before
 *
 * Return: 0, or -EBADMSG: the cursors are nonsense, and @c is poisoned.
 */
static inline int kring_consumer_attach(struct kring_consumer *c, const struct kring_ring *r)
{
	c->ring = *r;
	c->fault = NULL;
	/* Our own: nothing to order it with. */
	c->tail = le32_to_cpu(READ_ONCE(*r->tail));
	c->released = c->tail;
	c->head = le32_to_cpu(kring_load_acquire(r->head));	/* A' */
	if (c->head - c->tail > r->size)
		return kring_consumer_poison(c, "head is more than the ring's size from tail");
	if (c->tail & (r->align - 1))
		return kring_consumer_poison(c, "tail is not aligned");
	return 0;
}

/*
 * Whether the region still shows the own cursor as it was published. It does unless the
 * region and this memory are from different moments, or the peer wrote where it must not.
 */
static inline int kring_producer_check(struct kring_producer *p)
{
	if (p->fault)
		return -EBADMSG;
	if (le32_to_cpu(READ_ONCE(*p->ring.head)) != p->submitted)
		return kring_producer_poison(p, "head in the region is not where we left it");
	return 0;
}

static inline int kring_consumer_check(struct kring_consumer *c)
{
	if (c->fault)
		return -EBADMSG;
	if (le32_to_cpu(READ_ONCE(*c->ring.tail)) != c->released)
		return kring_consumer_poison(c, "tail in the region is not where we left it");
	return 0;
}

/* Look at the peer's cursor afresh. */
static inline int kring_load_tail(struct kring_producer *p)
{
	__u32 tail = le32_to_cpu(kring_load_acquire(p->ring.tail));	/* D' */

	if (p->head - tail > p->ring.size)
		return kring_producer_poison(p, "tail is more than the ring's size from head");
	p->tail = tail;
	return 0;
}

static inline int kring_load_head(struct kring_consumer *c)
{
	__u32 head = le32_to_cpu(kring_load_acquire(c->ring.head));	/* A' */

	if (head - c->tail > c->ring.size)
		return kring_consumer_poison(c, "head is more than the ring's size from tail");
	c->head = head;
	return 0;
}

/**
 * kring_reserve() - find room for a frame
 * @p: producer
 * @len: bytes of payload, 1 to kring_ring.send_max
 * @f: where to write the payload; @f->len may be lowered before kring_commit()
 *
 * Return: 0, -EAGAIN: there is no room yet (kring_want_space() before sleeping),
 * -EINVAL: @len is 0, -EMSGSIZE: @len is too large for ever, -EBADMSG: poisoned.
 */
static inline int kring_reserve(struct kring_producer *p, __u32 len, struct kring_frame *f)
{
	const struct kring_ring *r = &p->ring;
	__u32 pos = p->head & (r->size - 1);
	__u32 to_end = r->size - pos;
	__u32 skip = 0, need;
	int err;

	if (p->fault)
		return -EBADMSG;
	if (!len)
		return -EINVAL;
	if (len > r->send_max)
		return -EMSGSIZE;

	need = kring_frame_size(r, len);
	if (need > to_end)
		skip = to_end;
	need += skip;
	if (need > r->size - (p->head - p->tail)) {
		err = kring_load_tail(p);
		if (err)
			return err;
		if (need > r->size - (p->head - p->tail)) {
			p->want = need;
			return -EAGAIN;
		}
	}

	p->want = 0;
	f->cursor = p->head + skip;
	f->payload = r->data + (f->cursor & (r->size - 1)) + r->header;
	f->len = len;
	return 0;
}

/**
 * kring_commit() - the reserved frame is filled
 * @p: producer
 * @f: from kring_reserve(), with the same or a lower @f->len, not 0
 */
static inline void kring_commit(struct kring_producer *p, const struct kring_frame *f)
{
	const struct kring_ring *r = &p->ring;
	__u32 pos = p->head & (r->size - 1);

	/* Too close to the end for a length means "skip" without one. */
	if (f->cursor != p->head && r->size - pos >= r->header)
		memset(r->data + pos, 0, r->header);
	memset(f->payload - r->header, 0, r->header);
	kring_store_len(f->payload - r->header, f->len);
	p->head = f->cursor + kring_frame_size(r, f->len);
}

/**
 * kring_submit() - publish all committed frames
 * @p: producer
 *
 * Return: whether the consumer needs a kick.
 */
static inline bool kring_submit(struct kring_producer *p)
{
	const struct kring_ring *r = &p->ring;

	p->submitted = p->head;
	kring_store_release(r->head, cpu_to_le32(p->head));	/* A */
	if (!r->want_data)
		return true;
	kring_mb();						/* B */
	return READ_ONCE(*r->want_data) != 0;
}

/**
 * kring_peek() - find the next frame
 * @c: consumer
 * @f: the frame; its bytes stay until kring_release(), but the producer may change them
 *
 * A skip with nothing behind it yet is advanced over: see kring_unreleased().
 *
 * Return: 0, -EAGAIN: there is none yet (kring_want_data() before sleeping), -EBADMSG:
 * poisoned.
 */
static inline int kring_peek(struct kring_consumer *c, struct kring_frame *f)
{
	const struct kring_ring *r = &c->ring;
	__u32 pos, to_end, avail, len = 0;
	int err;

	if (c->fault)
		return -EBADMSG;
	if (c->head == c->tail) {
		err = kring_load_head(c);
		if (err)
			return err;
		if (c->head == c->tail)
			return -EAGAIN;
	}

	pos = c->tail & (r->size - 1);
	to_end = r->size - pos;
	avail = c->head - c->tail;
	if (to_end >= r->header) {
		if (avail < r->header)
			return kring_consumer_poison(c, "head is inside a frame's header");
		len = kring_load_len(r->data + pos);
	}
	f->cursor = c->tail;
	if (!len) {
		/* Never from the start itself: so one skip is all there can be. */
		if (!pos)
			return kring_consumer_poison(c, "skip at the start of the ring");
		if (avail < to_end)
			return kring_consumer_poison(c, "head is inside a skip");
		avail -= to_end;
		if (!avail) {
			c->tail += to_end;
			return -EAGAIN;
		}
		if (avail < r->header)
			return kring_consumer_poison(c, "head is inside a frame's header");
		f->cursor += to_end;
		pos = 0;
		to_end = r->size;
		len = kring_load_len(r->data);
		if (!len)
			return kring_consumer_poison(c, "skip at the start of the ring");
	}

	if (len > r->max)
		return kring_consumer_poison(c, "frame is longer than the longest allowed");
	if (kring_frame_size(r, len) > to_end)
		return kring_consumer_poison(c, "frame straddles the end of the ring");
	if (kring_frame_size(r, len) > avail)
		return kring_consumer_poison(c, "frame goes beyond head");
	f->payload = r->data + pos + r->header;
	f->len = len;
	return 0;
}

/**
 * kring_advance() - the peeked frame is used
 * @c: consumer
 * @f: from kring_peek(), unchanged
 */
static inline void kring_advance(struct kring_consumer *c, const struct kring_frame *f)
{
	c->tail = f->cursor + kring_frame_size(&c->ring, f->len);
}

/**
 * kring_release() - give the room of all frames advanced over back to the producer
 * @c: consumer
 *
 * Return: whether the producer needs a kick.
 */
static inline bool kring_release(struct kring_consumer *c)
{
	const struct kring_ring *r = &c->ring;
	__u32 want;

	c->released = c->tail;
	kring_store_release(r->tail, cpu_to_le32(c->tail));	/* D */
	if (!r->want_space)
		return true;
	kring_mb();						/* E */
	want = le32_to_cpu(READ_ONCE(*r->want_space));
	/* c->head may be old, and more seem free than is: one kick too early, not too few. */
	return want && r->size - (c->head - c->tail) >= want;
}

/**
 * kring_unsubmitted() - whether there are committed frames to publish
 * @p: producer
 *
 * Ask before sleeping, and kring_submit(): they may be what the consumer sleeps for.
 */
static inline bool kring_unsubmitted(const struct kring_producer *p)
{
	return p->head != p->submitted;
}

/**
 * kring_unreleased() - whether there is room to give back
 * @c: consumer
 *
 * Ask before sleeping, and kring_release(): the producer may sleep for that room. Ours never
 * publishes a skip alone, another may.
 */
static inline bool kring_unreleased(const struct kring_consumer *c)
{
	return c->tail != c->released;
}

/**
 * kring_readable() - whether kring_peek() has something to say, a frame or an error
 * @c: consumer
 */
static inline bool kring_readable(struct kring_consumer *c)
{
	return c->fault || c->head != c->tail || kring_load_head(c) || c->head != c->tail;
}

/**
 * kring_writable() - whether the frame that kring_reserve() refused last would fit now
 * @p: producer
 *
 * When none was refused: whether there is room for any frame at all, wherever the ring
 * is. Also true when there is an error to be told.
 */
static inline bool kring_writable(struct kring_producer *p)
{
	const struct kring_ring *r = &p->ring;
	__u32 need = p->want ? p->want : 2 * kring_frame_size(r, 1);

	return p->fault || need <= r->size - (p->head - p->tail) || kring_load_tail(p) ||
	       need <= r->size - (p->head - p->tail);
}

/**
 * kring_want_data() - announce that the consumer goes to sleep
 * @c: consumer
 *
 * Return: true: do not sleep, kring_readable(). The announcement stands until
 * kring_got_data().
 */
static inline bool kring_want_data(struct kring_consumer *c)
{
	const struct kring_ring *r = &c->ring;

	if (r->want_data) {
		WRITE_ONCE(*r->want_data, cpu_to_le32(1));
		kring_mb();					/* B' */
	}
	return kring_readable(c);
}

/**
 * kring_got_data() - the consumer is awake
 * @c: consumer
 */
static inline void kring_got_data(struct kring_consumer *c)
{
	if (c->ring.want_data)
		WRITE_ONCE(*c->ring.want_data, 0);
}

/**
 * kring_want_space() - announce that the producer goes to sleep
 * @p: producer
 *
 * Return: true: do not sleep, kring_writable(). The announcement stands until
 * kring_got_space().
 */
static inline bool kring_want_space(struct kring_producer *p)
{
	const struct kring_ring *r = &p->ring;

	if (r->want_space) {
		__u32 want = p->want ? p->want : 2 * kring_frame_size(r, 1);

		WRITE_ONCE(*r->want_space, cpu_to_le32(want));
		kring_mb();					/* E' */
	}
	return kring_writable(p);
}

/**
 * kring_got_space() - the producer is awake
 * @p: producer
 */
static inline void kring_got_space(struct kring_producer *p)
{
	if (p->ring.want_space)
		WRITE_ONCE(*p->ring.want_space, 0);
}

#endif /* _KRING_RING_H */
