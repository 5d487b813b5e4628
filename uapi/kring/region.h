/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * The check of a region's header, the same for whoever attaches: guest kernel, host
 * library, tools that look at a dead VM's copy.
 *
 * The host may rewrite the header at any time, so it is copied first, and only the copy
 * is checked and used.
 */
#ifndef _KRING_REGION_H
#define _KRING_REGION_H

#include <linux/kring.h>
#include <kring/ring.h>

/**
 * struct kring_fault - what is wrong with a header
 * @field: its name, as in struct kring_header
 * @value: what it holds, where that is a number
 * @why: what is wrong with that
 */
struct kring_fault {
	const char *field;
	unsigned long long value;
	const char *why;
};

enum kring_format {
	KRING_FORMAT_NATIVE,
	KRING_FORMAT_AMRB,
};

/* A copy of the start of a region, in whatever format it is. */
union kring_any_header {
	struct kring_header native;
	struct kring_amrb_header amrb;
};

/**
 * struct kring_place - where a ring lies in its region
 * @head: offset of the producer's cursor
 * @want_space: offset of the field, 0: the format has none
 * @tail: offset of the consumer's cursor
 * @want_data: offset of the field, 0: the format has none
 * @data: offset of the data
 * @size: bytes of data
 */
struct kring_place {
	__u64 head;
	__u64 want_space;
	__u64 tail;
	__u64 want_data;
	__u64 data;
	__u32 size;
};

/**
 * struct kring_layout - a checked header, in the byte order of this CPU
 * @format: of the region
 * @granule: bytes of a page of the region, 0: it has no pages
 * @region_size: bytes that the region takes
 * @h2g: the host-to-guest ring
 * @g2h: the guest-to-host ring
 * @name: of the region, NUL-terminated
 */
struct kring_layout {
	enum kring_format format;
	__u32 granule;
	__u64 region_size;
	struct kring_place h2g;
	struct kring_place g2h;
	char name[KRING_NAME_LEN];
};

static inline int kring_fault(struct kring_fault *fault, int err, const char *field,
			      unsigned long long value, const char *why)
{
	fault->field = field;
	fault->value = value;
	fault->why = why;
	return err;
}

/**
 * kring_name_ok() - whether @name can name a region and its doorbell
 * @name: at most KRING_NAME_LEN bytes are looked at
 *
 * A name is 1 to 31 of [A-Za-z0-9._-], NUL-terminated.
 */
static inline bool kring_name_ok(const char *name)
{
	int i;

	for (i = 0; i < KRING_NAME_LEN && name[i]; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			return false;
	}
	return i > 0 && i < KRING_NAME_LEN;
}

/* Bytes that a ring with @size bytes of data takes. */
static inline __u64 kring_extent_size(__u32 granule, __u64 size)
{
	return 2ULL * granule + size;
}

static inline int kring_extent_check(const struct kring_extent *e, __u32 granule,
				     __u64 region_size, const char *offset_field,
				     const char *size_field, struct kring_fault *fault)
{
	__u64 offset = le64_to_cpu(e->offset);
	__u64 size = le64_to_cpu(e->size);

	if (!size || size & (size - 1))
		return kring_fault(fault, -EINVAL, size_field, size, "not a power of two");
	if (size < granule)
		return kring_fault(fault, -EINVAL, size_field, size, "less than the granule");
	if (size > KRING_SIZE_MAX)
		return kring_fault(fault, -EINVAL, size_field, size, "more than 1 GiB");
	if (offset & (granule - 1))
		return kring_fault(fault, -EINVAL, offset_field, offset,
				   "not a multiple of the granule");
	if (offset < granule)
		return kring_fault(fault, -EINVAL, offset_field, offset, "inside the header");
	if (offset > region_size || kring_extent_size(granule, size) > region_size - offset)
		return kring_fault(fault, -EINVAL, offset_field, offset,
				   "the ring ends outside the region");
	return 0;
}

static inline void kring_native_place(const struct kring_extent *e, __u32 granule,
				      struct kring_place *place)
{
	__u64 producer = le64_to_cpu(e->offset);
	__u64 consumer = producer + granule;

	place->head = producer + offsetof(struct kring_producer_page, head);
	place->want_space = producer + offsetof(struct kring_producer_page, want_space);
	place->tail = consumer + offsetof(struct kring_consumer_page, tail);
	place->want_data = consumer + offsetof(struct kring_consumer_page, want_data);
	place->data = consumer + granule;
	place->size = le64_to_cpu(e->size);
}

/* Bytes of a region with rings of @size. */
static inline __u64 kring_native_size(__u32 granule, __u64 size)
{
	return granule + 2 * kring_extent_size(granule, size);
}

/**
 * kring_native_make() - fill in what a region's maker has no choice of
 * @h: header, zeroed; name, uuid and state are left to be set, the state last
 * @granule: as in the header
 * @region_size: kring_native_size() at least
 * @size: of each ring
 */
static inline void kring_native_make(struct kring_header *h, __u32 granule, __u64 region_size,
				     __u64 size)
{
	h->magic = cpu_to_le32(KRING_MAGIC);
	h->version = cpu_to_le32(KRING_VERSION);
	h->granule = cpu_to_le32(granule);
	h->region_size = cpu_to_le64(region_size);
	h->generation = cpu_to_le64(1);
	h->h2g.offset = cpu_to_le64(granule);
	h->h2g.size = cpu_to_le64(size);
	h->g2h.offset = cpu_to_le64(granule + kring_extent_size(granule, size));
	h->g2h.size = cpu_to_le64(size);
}

static inline int kring_native_check(const struct kring_header *h, __u64 size,
				     struct kring_layout *l, struct kring_fault *fault)
{
	__u64 features = le64_to_cpu(h->features);
	__u64 h2g = le64_to_cpu(h->h2g.offset);
	__u64 g2h = le64_to_cpu(h->g2h.offset);
	int err;

	if (le32_to_cpu(h->version) != KRING_VERSION)
		return kring_fault(fault, -EPROTONOSUPPORT, "version", le32_to_cpu(h->version),
				   le32_to_cpu(h->version) > KRING_VERSION ?
				   "newer than this kring knows" : "there never was one");
	if (le32_to_cpu(h->state) != KRING_STATE_READY)
		return kring_fault(fault, -EAGAIN, "state", le32_to_cpu(h->state),
				   "not ready: the host has not finished the region");
	if (features & KRING_FEATURES_MANDATORY)
		return kring_fault(fault, -EPROTONOSUPPORT, "features", features,
				   "has mandatory ones that this kring does not know");

	l->format = KRING_FORMAT_NATIVE;
	l->granule = le32_to_cpu(h->granule);
	if (l->granule != 4096 && l->granule != 16384 && l->granule != 65536)
		return kring_fault(fault, -EINVAL, "granule", l->granule,
				   "not 4096, 16384 or 65536");

	l->region_size = le64_to_cpu(h->region_size);
	if (l->region_size > size)
		return kring_fault(fault, -EINVAL, "region_size", l->region_size,
				   "truncated: what holds the region is smaller");
	if (l->region_size < l->granule + 2 * kring_extent_size(l->granule, l->granule))
		return kring_fault(fault, -EINVAL, "region_size", l->region_size,
				   "too small for a header and two rings");

	err = kring_extent_check(&h->h2g, l->granule, l->region_size, "h2g.offset", "h2g.size",
				 fault);
	if (err)
		return err;
	err = kring_extent_check(&h->g2h, l->granule, l->region_size, "g2h.offset", "g2h.size",
				 fault);
	if (err)
		return err;
	kring_native_place(&h->h2g, l->granule, &l->h2g);
	kring_native_place(&h->g2h, l->granule, &l->g2h);
	if (h2g < g2h + kring_extent_size(l->granule, l->g2h.size) &&
	    g2h < h2g + kring_extent_size(l->granule, l->h2g.size))
		return kring_fault(fault, -EINVAL, "g2h.offset", g2h, "the rings overlap");

	memcpy(l->name, h->name, sizeof(l->name));
	if (!kring_name_ok(l->name))
		return kring_fault(fault, -EINVAL, "name", h->name[0],
				   "not 1 to 31 of [A-Za-z0-9._-] with a NUL behind");
	return 0;
}

static inline void kring_amrb_place(__u64 cursors, __u64 data, __u32 size,
				    struct kring_place *place)
{
	place->head = cursors + offsetof(struct kring_amrb_cursors, head);
	place->want_space = 0;
	place->tail = cursors + offsetof(struct kring_amrb_cursors, tail);
	place->want_data = 0;
	place->data = data;
	place->size = size;
}

static inline int kring_amrb_check(const struct kring_amrb_header *h, __u64 size,
				   struct kring_layout *l, struct kring_fault *fault)
{
	__u32 data_size = le32_to_cpu(h->data_size);

	if (le32_to_cpu(h->version) != KRING_AMRB_VERSION)
		return kring_fault(fault, -EPROTONOSUPPORT, "version", le32_to_cpu(h->version),
				   "of an AMRB region: not the 4 that this kring knows");
	if (le32_to_cpu(h->state) != KRING_AMRB_READY)
		return kring_fault(fault, -EAGAIN, "init_state", le32_to_cpu(h->state),
				   "not ready: the host has not finished the region");
	if (!data_size || data_size & (data_size - 1))
		return kring_fault(fault, -EINVAL, "data_size", data_size, "not a power of two");
	if (data_size < 16)
		return kring_fault(fault, -EINVAL, "data_size", data_size, "less than 16");
	if (data_size > KRING_SIZE_MAX)
		return kring_fault(fault, -EINVAL, "data_size", data_size, "more than 1 GiB");

	l->format = KRING_FORMAT_AMRB;
	l->granule = 0;
	l->region_size = le64_to_cpu(h->total_size);
	if (l->region_size != sizeof(*h) + 2ULL * data_size)
		return kring_fault(fault, -EINVAL, "total_size", l->region_size,
				   "not 192 and twice data_size");
	if (l->region_size > size)
		return kring_fault(fault, -EINVAL, "total_size", l->region_size,
				   "truncated: what holds the region is smaller");

	kring_amrb_place(offsetof(struct kring_amrb_header, h2g), sizeof(*h), data_size, &l->h2g);
	kring_amrb_place(offsetof(struct kring_amrb_header, g2h), sizeof(*h) + data_size,
			 data_size, &l->g2h);
	memset(l->name, 0, sizeof(l->name));
	memcpy(l->name, KRING_AMRB_NAME, sizeof(KRING_AMRB_NAME));
	return 0;
}

/**
 * kring_header_settle() - make a copy of a header believable
 * @h: the copy
 * @before: one whose state was read before @h, with acquire
 *
 * READY is stored last, with release: only whoever saw it before reading the rest has the
 * rest. So the state that counts is the earlier one.
 */
static inline void kring_header_settle(union kring_any_header *h,
				       const union kring_any_header *before)
{
	if (le32_to_cpu(h->native.magic) == KRING_MAGIC)
		h->native.state = before->native.state;
	else if (le32_to_cpu(h->amrb.magic) == KRING_AMRB_MAGIC)
		h->amrb.state = before->amrb.state;
}

/**
 * kring_header_check() - check a copy of a region's header
 * @h: the copy
 * @size: bytes there are, of the device or file that holds the region
 * @l: what the header says, when all of it is right
 * @fault: otherwise: what is wrong
 *
 * Return: 0, -ENODEV: no region (magic), -EAGAIN: the host has not finished it,
 * -EPROTONOSUPPORT: made by a newer kring (version, features), -EINVAL: anything else.
 */
static inline int kring_header_check(const union kring_any_header *h, __u64 size,
				     struct kring_layout *l, struct kring_fault *fault)
{
	if (size < sizeof(*h))
		return kring_fault(fault, -EINVAL, "region_size", size,
				   "too small even for a header");
	if (le32_to_cpu(h->native.magic) == KRING_MAGIC)
		return kring_native_check(&h->native, size, l, fault);
	if (le32_to_cpu(h->amrb.magic) == KRING_AMRB_MAGIC)
		return kring_amrb_check(&h->amrb, size, l, fault);
	return kring_fault(fault, -ENODEV, "magic", le32_to_cpu(h->native.magic),
			   "not a kring region");
}

static inline void kring_place_ring(const struct kring_place *place, enum kring_format format,
				    __u8 *base, struct kring_ring *r)
{
	r->head = (__le32 *)(base + place->head);
	r->want_space = place->want_space ? (__le32 *)(base + place->want_space) : NULL;
	r->tail = (__le32 *)(base + place->tail);
	r->want_data = place->want_data ? (__le32 *)(base + place->want_data) : NULL;
	r->data = base + place->data;
	r->size = place->size;
	if (format == KRING_FORMAT_NATIVE) {
		r->header = sizeof(struct kring_frame_header);
		r->align = KRING_FRAME_ALIGN;
		r->max = place->size / 2 - r->header;
	} else {
		r->header = sizeof(__le32);
		r->align = 1;
		r->max = place->size - r->header;
		if (r->max > KRING_AMRB_FRAME_MAX)
			r->max = KRING_AMRB_FRAME_MAX;
	}
	/* Wherever the ring is, such a frame fits with the skip that it may need. */
	r->send_max = place->size / 2 - r->header;
	if (r->send_max > r->max)
		r->send_max = r->max;
}

/**
 * kring_layout_rings() - the geometry of both rings of a mapped region
 * @l: checked layout
 * @base: where the region is mapped
 * @h2g: the host-to-guest ring
 * @g2h: the guest-to-host ring
 */
static inline void kring_layout_rings(const struct kring_layout *l, void *base,
				      struct kring_ring *h2g, struct kring_ring *g2h)
{
	kring_place_ring(&l->h2g, l->format, base, h2g);
	kring_place_ring(&l->g2h, l->format, base, g2h);
}

#endif /* _KRING_REGION_H */
