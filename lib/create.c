// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Make a region.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_GRANULE	4096

/* The smallest rings that are made in AMRB format. */
#define AMRB_LEAST	4096

/* The largest power of two of bytes, from @least, that @fixed and two rings' data leave. */
static uint64_t ring_size(uint64_t region_size, uint64_t fixed, uint64_t least)
{
	uint64_t size = least;

	while (size < KRING_SIZE_MAX && fixed + 4 * size <= region_size)
		size *= 2;
	return size;
}

/** kring_uuid_make() - KRING_UUID_LEN bytes that nobody else has */
int kring_uuid_make(uint8_t *uuid)
{
	int code = kring_random(uuid, KRING_UUID_LEN);

	if (code)
		return code;
	/* RFC 9562, version 4: random */
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return 0;
}

static int native_make(struct kring_header *h, uint64_t size,
		       const struct kring_create_args *args, struct kring_fault *fault)
{
	uint32_t granule = args->granule ? args->granule : DEFAULT_GRANULE;
	const char *name = args->name ? args->name : "default";
	int code;

	kring_native_make(h, granule, size,
			  ring_size(size, kring_native_size(granule, 0), granule));
	memcpy(h->name, name, strnlen(name, sizeof(h->name)));
	h->state = cpu_to_le32(KRING_STATE_READY);
	code = kring_uuid_make(h->uuid);
	return code ? kring_fault(fault, code, "uuid", 0, strerror(-code)) : 0;
}

static int amrb_make(struct kring_amrb_header *h, uint64_t size,
		     const struct kring_create_args *args, struct kring_fault *fault)
{
	uint64_t data = ring_size(size, sizeof(*h), AMRB_LEAST);

	if (args->name)
		return kring_fault(fault, -EINVAL, "name", args->name[0],
				   "the AMRB format has none");
	if (args->granule)
		return kring_fault(fault, -EINVAL, "granule", args->granule,
				   "the AMRB format has none");
	h->state = cpu_to_le32(KRING_AMRB_READY);
	h->magic = cpu_to_le32(KRING_AMRB_MAGIC);
	h->version = cpu_to_le32(KRING_AMRB_VERSION);
	h->data_size = cpu_to_le32(data);
	h->total_size = cpu_to_le64(sizeof(*h) + 2 * data);
	return 0;
}

/*
 * Fill in a header and check it by the rule that those who attach go by, so that there is
 * one rule. It is as they want to see it, READY.
 */
static int header_make(union kring_any_header *h, uint64_t size,
		       const struct kring_create_args *args, struct kring_fault *fault)
{
	struct kring_layout layout;
	int code;

	memset(h, 0, sizeof(*h));
	if (args->format == KRING_FORMAT_AMRB)
		code = amrb_make(&h->amrb, size, args, fault);
	else
		code = native_make(&h->native, size, args, fault);
	if (code)
		return code;
	return kring_header_check(h, size, &layout, fault);
}

static void header_store(void *base, const union kring_any_header *from)
{
	union kring_any_header *to = base, h = *from;
	bool native = h.native.magic == cpu_to_le32(KRING_MAGIC);
	__le32 *state = native ? &h.native.state : &h.amrb.state;
	__le32 ready = *state;

	*state = 0;
	memcpy(to, &h, sizeof(h));
	/* Pairs with the acquire of whoever looks for a region. */
	kring_store_release(native ? &to->native.state : &to->amrb.state, ready);
}

int kring_format(void *base, uint64_t size, const struct kring_create_args *args,
		 struct kring_error *err)
{
	static const struct kring_create_args defaults;
	union kring_any_header h;
	struct kring_fault fault;
	int code;

	code = header_make(&h, size, args ? args : &defaults, &fault);
	if (code)
		return kring_error_fault(err, code, NULL, &fault);
	header_store(base, &h);
	return 0;
}

static int file_fill(int fd, uint64_t size, const union kring_any_header *h)
{
	void *base;

	if (ftruncate(fd, size))
		return -errno;
	/* Not write(), which hugetlbfs has not; and whole, as its pages are large. */
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	header_store(base, h);
	munmap(base, size);
	return 0;
}

int kring_create(const char *path, const struct kring_create_args *args,
		 struct kring_error *err)
{
	static const struct kring_create_args defaults;
	union kring_any_header h;
	struct kring_fault fault;
	struct kring_temp temp;
	uint32_t granule;
	uint64_t size;
	int code;

	if (!args)
		args = &defaults;
	size = args->size ? args->size : KRING_REGION_DEFAULT_SIZE;
	granule = args->granule ? args->granule : DEFAULT_GRANULE;
	code = header_make(&h, size, args, &fault);
	if (!code && size & (granule - 1))
		code = kring_fault(&fault, -EINVAL, "region_size", size,
				   "not a multiple of the granule");
	if (!code && size > INT64_MAX)
		code = kring_fault(&fault, -EINVAL, "region_size", size,
				   "more than a file can have");
	if (code)
		return kring_error_fault(err, code, path, &fault);

	code = kring_temp_open(&temp, path);
	if (code)
		return kring_error_path(err, code, path, "%s", strerror(-code));
	code = file_fill(temp.fd, size, &h);
	if (!code)
		code = kring_temp_link(&temp);
	if (code)
		kring_error_path(err, code, path, "%s", strerror(-code));
	kring_temp_close(&temp);
	return code;
}
