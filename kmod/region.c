// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Regions: from a stretch of physical memory to a mapped, checked region.
 */
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>

#include "kring.h"

/*
 * One line that names the field, where an operator would miss a region. A device whose
 * magic is another's is not an error, but the line tells why there is no kring on it.
 */
static void kring_region_tell(struct device *dev, int err, const struct kring_fault *fault)
{
	if (err == -ENODEV)
		dev_info(dev, "kring: %s %#llx: %s; left alone\n", fault->field, fault->value,
			 fault->why);
	else
		dev_err(dev, "kring: %s %llu: %s; left alone\n", fault->field, fault->value,
			fault->why);
}

/* memremap() warns of a stretch that is partly RAM: the address is the host's, ask first. */
static int kring_region_disjoint(phys_addr_t start, u64 size, struct kring_fault *fault)
{
	if (!size || start + size < start || start + size > PHYS_ADDR_MAX)
		return kring_fault(fault, -EINVAL, "region_size", size,
				   "wraps around the end of memory");
	if (!PAGE_ALIGNED(start))
		return kring_fault(fault, -EINVAL, "address", start, "not on a page");
	if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT)
		return kring_fault(fault, -EINVAL, "address", start, "is the system's memory");
	return 0;
}

static void kring_region_copy_header(const union kring_any_header *shared,
				     union kring_any_header *copy)
{
	union kring_any_header before;

	/* Pairs with the host's release of READY. */
	before.native.state = kring_load_acquire(&shared->native.state);
	before.amrb.state = kring_load_acquire(&shared->amrb.state);
	memcpy(copy, shared, sizeof(*copy));
	kring_header_settle(copy, &before);
}

static int kring_region_check(const struct kring_source *s, struct kring_layout *l,
			      struct kring_fault *fault)
{
	u64 size = s->measure ? PAGE_SIZE : s->size;
	union kring_any_header copy, *shared = s->base;
	int err;

	if (!s->base) {
		err = kring_region_disjoint(s->start, size, fault);
		if (err)
			return err;
	}
	if (size < PAGE_SIZE)
		return kring_fault(fault, -EINVAL, "region_size", size,
				   "too small even for a header");

	if (!s->base)
		shared = memremap(s->start, PAGE_SIZE, MEMREMAP_WB);
	if (!shared)
		return kring_fault(fault, -ENOMEM, "address", s->start, "cannot be mapped");
	kring_region_copy_header(shared, &copy);
	if (!s->base)
		memunmap(shared);
	err = kring_header_check(&copy, s->measure ? U64_MAX : size, l, fault);
	if (err || !s->measure)
		return err;
	return kring_region_disjoint(s->start, l->region_size, fault);
}

/**
 * kring_region_look() - whether there is a region
 * @source: where
 * @l: its layout, if so
 *
 * Return: 0, or a negative errno as kring_header_check() has it, after telling why.
 */
int kring_region_look(const struct kring_source *source, struct kring_layout *l)
{
	struct kring_fault fault;
	int err;

	err = kring_region_check(source, l, &fault);
	if (err)
		kring_region_tell(source->parent, err, &fault);
	return err;
}

/**
 * kring_region_map() - map a region
 * @source: where it is
 * @r: the region
 *
 * Return: 0, -EBUSY: something else has this memory, -ENOMEM, or as kring_region_look().
 */
int kring_region_map(const struct kring_source *source, struct kring_region *r)
{
	int err;

	err = kring_region_look(source, &r->layout);
	if (err)
		return err;

	r->start = source->start;
	r->base = source->base;
	r->own = source->base;
	if (r->own)
		return 0;

	if (!request_mem_region(r->start, r->layout.region_size, "kring")) {
		dev_err(source->parent, "kring: another driver has the region's memory\n");
		return -EBUSY;
	}
	r->base = memremap(r->start, r->layout.region_size, MEMREMAP_WB);
	if (!r->base) {
		err = -ENOMEM;
		goto release_mem;
	}
	return 0;

release_mem:
	release_mem_region(r->start, r->layout.region_size);
	return err;
}

void kring_region_unmap(struct kring_region *r)
{
	if (r->own)
		return;
	memunmap(r->base);
	release_mem_region(r->start, r->layout.region_size);
}

/* Which page of memory holds @offset. */
unsigned long kring_region_pfn(const struct kring_region *r, u64 offset)
{
	return r->own ? vmalloc_to_pfn(r->base + offset) : PHYS_PFN(r->start + offset);
}

/* The host changes the generation while we look on: each call reads it once. */
u64 kring_region_generation(const struct kring_region *r)
{
	const struct kring_header *header = r->base;

	if (r->layout.format != KRING_FORMAT_NATIVE)
		return 0;
	return le64_to_cpu(READ_ONCE(header->generation));
}

void kring_region_uuid(const struct kring_region *r, u8 uuid[KRING_UUID_LEN])
{
	const struct kring_header *header = r->base;

	if (r->layout.format == KRING_FORMAT_NATIVE)
		memcpy(uuid, header->uuid, KRING_UUID_LEN);
	else
		memset(uuid, 0, KRING_UUID_LEN);
}
