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

/**
 * struct kring_layout - a checked header, in the byte order of this CPU
 * @region_size: bytes that the region takes
 * @granule: bytes of a page of the region
 * @h2g_size: bytes of data of the host-to-guest ring
 * @g2h_size: bytes of data of the guest-to-host ring
 * @h2g_offset: where its producer's page is
 * @g2h_offset: where its producer's page is
 * @name: of the region, NUL-terminated
 */
struct kring_layout {
	__u64 region_size;
	__u32 granule;
	__u32 h2g_size;
	__u32 g2h_size;
	__u64 h2g_offset;
	__u64 g2h_offset;
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
static inline int kring_header_check(const struct kring_header *h, __u64 size,
				     struct kring_layout *l, struct kring_fault *fault)
{
	__u64 features = le64_to_cpu(h->features);
	int err;

	if (size < sizeof(*h))
		return kring_fault(fault, -EINVAL, "region_size", size,
				   "too small even for a header");
	if (le32_to_cpu(h->magic) != KRING_MAGIC)
		return kring_fault(fault, -ENODEV, "magic", le32_to_cpu(h->magic),
				   "not a kring region");
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
	l->h2g_offset = le64_to_cpu(h->h2g.offset);
	l->h2g_size = le64_to_cpu(h->h2g.size);
	l->g2h_offset = le64_to_cpu(h->g2h.offset);
	l->g2h_size = le64_to_cpu(h->g2h.size);
	if (l->h2g_offset < l->g2h_offset + kring_extent_size(l->granule, l->g2h_size) &&
	    l->g2h_offset < l->h2g_offset + kring_extent_size(l->granule, l->h2g_size))
		return kring_fault(fault, -EINVAL, "g2h.offset", l->g2h_offset,
				   "the rings overlap");

	memcpy(l->name, h->name, sizeof(l->name));
	if (!kring_name_ok(l->name))
		return kring_fault(fault, -EINVAL, "name", h->name[0],
				   "not 1 to 31 of [A-Za-z0-9._-] with a NUL behind");
	return 0;
}

static inline void kring_layout_ring(void *base, __u64 offset, __u32 size, __u32 granule,
				     struct kring_ring *r)
{
	struct kring_producer_page *producer = (void *)((__u8 *)base + offset);
	struct kring_consumer_page *consumer = (void *)((__u8 *)base + offset + granule);

	r->head = &producer->head;
	r->want_space = &producer->want_space;
	r->tail = &consumer->tail;
	r->want_data = &consumer->want_data;
	r->data = (__u8 *)base + offset + 2 * granule;
	r->size = size;
	r->header = sizeof(struct kring_frame_header);
	r->align = KRING_FRAME_ALIGN;
	r->max = size / 2 - sizeof(struct kring_frame_header);
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
	kring_layout_ring(base, l->h2g_offset, l->h2g_size, l->granule, h2g);
	kring_layout_ring(base, l->g2h_offset, l->g2h_size, l->granule, g2h);
}

#endif /* _KRING_REGION_H */
