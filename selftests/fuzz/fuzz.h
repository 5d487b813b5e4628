/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the fuzzers of the ring share: an input that is read piece by piece, a ring whose
 * parts are each as small as can be, and a peer, a thread that writes what the input says
 * while the verbs run.
 */
#ifndef KRING_FUZZ_H
#define KRING_FUZZ_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kring.h>
#include <kring/region.h>

/*
 * Not assert(): nothing turns this off but the run that wants to know whether the sanitizers
 * would see a bug by themselves.
 */
#ifdef SANITIZERS_ALONE
#define require(cond) ((void)(cond))
#else
#define require(cond) do {							\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);	\
		abort();							\
	}									\
} while (0)
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

/* Zeros behind the end. */
static inline void input_bytes(struct input *in, void *to, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

static inline uint8_t input_u8(struct input *in)
{
	uint8_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t input_u16(struct input *in)
{
	uint8_t v[2];

	input_bytes(in, v, sizeof(v));
	return v[0] | v[1] << 8;
}

static inline uint32_t input_u32(struct input *in)
{
	uint32_t low = input_u16(in);

	return low | (uint32_t)input_u16(in) << 16;
}

/* Somebody has to look at what is read, or the compiler does not read it. */
static inline void look_at(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = sum * 31 + bytes[i];
	asm volatile("" : : "r" (sum) : "memory");
}

/* Each part is an allocation of its own: the sanitizer sees each byte beside it. */
static inline void *part(size_t size)
{
	void *p = calloc(1, size);

	require(p);
	return p;
}

/* From six bytes: format, size, the cursor that both sides begin with. */
static inline void ring_make(struct kring_ring *r, struct input *in)
{
	uint8_t shape = input_u8(in);
	bool native = shape & 1;
	uint32_t at;

	r->size = 64U << (shape >> 1 & 3);
	r->header = native ? sizeof(struct kring_frame_header) : sizeof(__le32);
	r->align = native ? KRING_FRAME_ALIGN : 1;
	r->send_max = r->size / 2 - r->header;
	r->max = native ? r->send_max : r->size - r->header;
	r->head = part(sizeof(*r->head));
	r->tail = part(sizeof(*r->tail));
	r->want_space = native ? part(sizeof(*r->want_space)) : NULL;
	r->want_data = native ? part(sizeof(*r->want_data)) : NULL;
	r->data = part(r->size);
	at = input_u32(in) & ~(r->align - 1);
	*r->head = cpu_to_le32(at);
	*r->tail = cpu_to_le32(at);
}

static inline void ring_free(struct kring_ring *r)
{
	free(r->head);
	free(r->tail);
	free(r->want_space);
	free(r->want_data);
	free(r->data);
}

/*
 * The peer. Each write is four bytes of input: where, and what. It goes round and round in
 * them while the other thread runs its verbs.
 */
#define PEER_WRITES	16

struct peer {
	const struct kring_ring *ring;
	__le32 *cursor;			/* the peer's own */
	__le32 *other;			/* and the one that it must not write */
	__le32 *want;			/* and its want field, or NULL */
	uint32_t base;			/* values of @cursor are near this */
	unsigned int count;
	struct {
		uint8_t where;
		uint8_t low;
		uint16_t value;
	} writes[PEER_WRITES];
};

static struct peer peer;

/* Whoever has the lock may use @peer; the thread does not ask for it while it is held off. */
static bool peer_locked;
static bool peer_off = true;

/* A length at a position that keeps all four bytes in the data. */
static inline void peer_len(const struct kring_ring *r, uint32_t at, uint32_t len)
{
	at &= r->size - 1;
	if (at <= r->size - 4)
		kring_store_len(r->data + at, len);
}

static inline void peer_write(unsigned int i)
{
	const struct kring_ring *r = peer.ring;
	uint32_t value = peer.writes[i].value;
	uint8_t low = peer.writes[i].low;

	switch (peer.writes[i].where % 8) {
	case 0:		/* a cursor at some distance */
	case 1:
		WRITE_ONCE(*peer.cursor, cpu_to_le32(peer.base + (int16_t)value));
		break;
	case 2:		/* any cursor */
		WRITE_ONCE(*(low & 1 ? peer.other : peer.cursor), cpu_to_le32(value << 16 | low));
		break;
	case 3:		/* a small length */
		peer_len(r, low * r->align, value % r->size);
		break;
	case 4:		/* any length */
		peer_len(r, low * r->align, value << 16 | value);
		break;
	case 5:
		WRITE_ONCE(r->data[value & (r->size - 1)], low);
		break;
	case 6:
		if (peer.want)
			WRITE_ONCE(*peer.want, cpu_to_le32(value));
		break;
	case 7:		/* the length at the start, which a skip leads to */
		peer_len(r, 0, value % r->size);
		break;
	}
}

static inline void peer_pause(unsigned int *spins)
{
	if (++*spins % 64 == 0)
		sched_yield();
}

static inline void peer_lock(void)
{
	unsigned int spins = 0;

	while (__atomic_exchange_n(&peer_locked, true, __ATOMIC_ACQUIRE))
		peer_pause(&spins);
}

static inline void peer_unlock(void)
{
	__atomic_store_n(&peer_locked, false, __ATOMIC_RELEASE);
}

static void *peer_thread(void *arg)
{
	unsigned int spins = 0, i = 0;

	(void)arg;
	for (;;) {
		if (__atomic_load_n(&peer_off, __ATOMIC_RELAXED)) {
			peer_pause(&spins);
			continue;
		}
		peer_lock();
		if (!__atomic_load_n(&peer_off, __ATOMIC_RELAXED) && peer.count)
			peer_write(i++ % peer.count);
		peer_unlock();
	}
	return NULL;
}

/*
 * Read its writes, do each of them once, and let it loose. It is not waited for, which would
 * cost a thousand times what an input does where the processors are busy: when it comes too
 * late for this one, it is there for the next.
 */
static inline void peer_start(struct input *in)
{
	static bool running;
	pthread_t thread;
	unsigned int i;

	peer.count = input_u8(in) % (PEER_WRITES + 1);
	for (i = 0; i < peer.count; i++) {
		peer.writes[i].where = input_u8(in);
		peer.writes[i].low = input_u8(in);
		peer.writes[i].value = input_u16(in);
		peer_write(i);
	}
	if (!running)
		require(!pthread_create(&thread, NULL, peer_thread, NULL));
	running = true;
	__atomic_store_n(&peer_off, false, __ATOMIC_RELEASE);
}

/* Then its memory can be freed. */
static inline void peer_end(void)
{
	__atomic_store_n(&peer_off, true, __ATOMIC_RELAXED);
	peer_lock();
	peer_unlock();
}

/* Between two verbs, one of its writes that always happens there. */
static inline void peer_turn(uint8_t verb)
{
	if (verb & 0x40 && peer.count)
		peer_write((verb >> 3 & 7) % peer.count);
}

#endif /* KRING_FUZZ_H */
