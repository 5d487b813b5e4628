// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The check of a header, on any bytes and any size of what holds them. A header that is
 * taken must describe two rings that are inside, apart, and aligned.
 *
 * Input: le64 size, the three words that an earlier look has seen, then the header.
 */
#include <sys/mman.h>

#include "fuzz.h"

/* Regions up to this are placed in memory that nothing may touch. */
#define MAPPED	(16ULL << 30)

struct span {
	uint64_t start;
	uint64_t len;
};

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* In the region behind the header, and clear of each span before. */
static void add_span(struct span *spans, unsigned int *n, const struct kring_layout *l,
		     uint64_t start, uint64_t len)
{
	unsigned int i;

	require(len <= l->region_size && start <= l->region_size - len);
	for (i = 0; i < *n; i++)
		require(start >= spans[i].start + spans[i].len ||
			spans[i].start >= start + len);
	spans[*n].start = start;
	spans[(*n)++].len = len;
}

static void check_place(struct span *spans, unsigned int *n, const struct kring_layout *l,
			const struct kring_place *place)
{
	bool native = l->format == KRING_FORMAT_NATIVE;

	require(power_of_two(place->size) && place->size <= 1U << 30);
	require(!(place->head & 3) && !(place->tail & 3));
	require(!place->want_space == !native && !place->want_data == !native);
	if (native) {
		require(place->size >= l->granule);
		require(!(place->head & (l->granule - 1)) && !(place->data & (l->granule - 1)));
		require(place->tail == place->head + l->granule);
		require(place->want_space == place->head + 4);
		require(place->want_data == place->tail + 4);
		add_span(spans, n, l, place->head, l->granule);
		add_span(spans, n, l, place->tail, l->granule);
	} else {
		require(place->size >= 16);
		require(place->tail == place->head + 32);
		add_span(spans, n, l, place->head, 64);
	}
	add_span(spans, n, l, place->data, place->size);
}

static void check_ring(const struct kring_layout *l, const struct kring_place *place,
		       uint8_t *base, const struct kring_ring *r)
{
	bool native = l->format == KRING_FORMAT_NATIVE;
	uint64_t frame;

	require((uint8_t *)r->head == base + place->head);
	require((uint8_t *)r->tail == base + place->tail);
	require(r->data == base + place->data && r->size == place->size);
	require(!r->want_space == !native && !r->want_data == !native);
	require(!native || (uint8_t *)r->want_space == base + place->want_space);
	require(!native || (uint8_t *)r->want_data == base + place->want_data);
	require(r->header == (native ? 8 : 4) && r->align == (native ? 8 : 1));

	/* The largest fits in, and the largest that is sent also with a skip. */
	frame = ((uint64_t)r->header + r->max + r->align - 1) & ~(uint64_t)(r->align - 1);
	require(r->max && frame <= r->size && frame == kring_frame_size(r, r->max));
	require(native || r->max <= 16 << 20);
	frame = ((uint64_t)r->header + r->send_max + r->align - 1) & ~(uint64_t)(r->align - 1);
	require(r->send_max && r->send_max <= r->max && 2 * frame <= r->size);
}

static void check_name(const struct kring_layout *l)
{
	static const char good[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strnlen(l->name, sizeof(l->name));

	require(len && len < sizeof(l->name) && strspn(l->name, good) == len);
}

static void check_layout(const struct kring_layout *l, uint64_t size)
{
	static uint8_t *base;
	struct kring_ring *rings;
	struct span spans[7] = { { 0 } };
	unsigned int n = 1;

	require(l->region_size <= size);
	if (l->format == KRING_FORMAT_NATIVE) {
		require(l->granule == 4096 || l->granule == 16384 || l->granule == 65536);
		spans[0].len = l->granule;
	} else {
		require(l->format == KRING_FORMAT_AMRB && l->granule == 0);
		require(l->region_size == 192 + 2 * (uint64_t)l->h2g.size);
		spans[0].len = 64;
	}
	check_place(spans, &n, l, &l->h2g);
	check_place(spans, &n, l, &l->g2h);
	check_name(l);

	if (l->region_size > MAPPED)
		return;
	if (!base) {
		base = mmap(NULL, MAPPED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
		require(base != MAP_FAILED);
	}
	rings = part(2 * sizeof(*rings));
	kring_layout_rings(l, base, &rings[0], &rings[1]);
	check_ring(l, &l->h2g, base, &rings[0]);
	check_ring(l, &l->g2h, base, &rings[1]);
	free(rings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	union kring_any_header *h = part(sizeof(*h)), before = { 0 };
	struct kring_layout *l = part(sizeof(*l));
	struct kring_fault *fault = part(sizeof(*fault));
	uint64_t held = input_u32(&in);
	bool native, ready;
	int err;

	held |= (uint64_t)input_u32(&in) << 32;
	input_bytes(&in, &before, 3 * sizeof(__le32));
	input_bytes(&in, h, sizeof(*h));
	native = le32_to_cpu(h->native.magic) == KRING_MAGIC;
	kring_header_settle(h, &before);

	err = kring_header_check(h, held, l, fault);
	if (err) {
		require(err == -ENODEV || err == -EAGAIN || err == -EPROTONOSUPPORT ||
			err == -EINVAL);
		require(fault->field && *fault->field && fault->why && *fault->why);
	} else {
		/* The format of what is looked at now, and READY before it was. */
		require(native == (l->format == KRING_FORMAT_NATIVE));
		ready = native ? before.native.state == cpu_to_le32(KRING_STATE_READY) :
				 before.amrb.state == cpu_to_le32(KRING_AMRB_READY);
		require(ready);
		check_layout(l, held);
	}
	free(fault);
	free(l);
	free(h);
	return 0;
}
