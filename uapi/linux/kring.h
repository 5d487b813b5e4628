/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * kring: what host and guest, and guest kernel and guest programs, agree on.
 *
 * The region's format, native (struct kring_header and the pages it points to) or AMRB, is
 * shared by host and guest through memory; the ioctls are the guest kernel's. All words in
 * the region are little-endian. The ring algorithm that works on it is <kring/ring.h>, the
 * check of a header <kring/region.h>.
 */
#ifndef _UAPI_LINUX_KRING_H
#define _UAPI_LINUX_KRING_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

/*
 * Region, version 1
 *
 *	page 0		struct kring_header
 *	per ring	struct kring_producer_page	written by the producer alone
 *			struct kring_consumer_page	written by the consumer alone
 *			data				written by the producer alone
 *
 * A page is kring_header.granule bytes. There are two rings: h2g, whose producer is
 * the host, and g2h, whose producer is the guest. They lie anywhere behind the header,
 * aligned to a page and without overlap.
 */
#define KRING_MAGIC		0x474e524bU	/* "KRNG" */
#define KRING_VERSION		1

/* kring_header.state. READY is stored last, with release semantics. */
#define KRING_STATE_INIT	0
#define KRING_STATE_READY	1

/* kring_header.features: an unknown bit in this half must make attach fail. */
#define KRING_FEATURES_MANDATORY	0xffffffff00000000ULL

#define KRING_NAME_LEN		32	/* with the terminating NUL */
#define KRING_UUID_LEN		16

/* The data of one ring is a power of two of bytes, from one granule to this. */
#define KRING_SIZE_MAX		0x40000000U

/**
 * struct kring_extent - where a ring lies
 * @offset: of the producer's page, in bytes from the start of the region; a multiple
 *	of the granule
 * @size: bytes of data, a power of two; the ring takes two granules more than that
 */
struct kring_extent {
	__le64 offset;
	__le64 size;
};

/**
 * struct kring_header - page 0 of a region, written by the host alone
 * @magic: KRING_MAGIC
 * @version: KRING_VERSION; whoever does not know the version does not attach
 * @state: KRING_STATE_READY once all other fields are valid
 * @granule: bytes of a page of this region: 4096, 16384 or 65536
 * @features: low half optional, high half mandatory; none are defined yet
 * @region_size: bytes of the whole region; what holds it may be larger
 * @generation: +1 by the host at each restore, fork and adoption
 * @uuid: identity of this region; a forked child gets a new one
 * @name: NUL-terminated, [A-Za-z0-9._-]; the doorbell is the console port kring.NAME
 * @h2g: the host-to-guest ring
 * @g2h: the guest-to-host ring
 * @restored: generation that the last restore or fork has made; 0: there was none
 *
 * Only @generation, @uuid and @restored change once @state is KRING_STATE_READY.
 */
struct kring_header {
	__le32 magic;
	__le32 version;
	__le32 state;
	__le32 granule;
	__le64 features;
	__le64 region_size;
	__le64 generation;
	__u8 uuid[KRING_UUID_LEN];
	__u8 name[KRING_NAME_LEN];
	struct kring_extent h2g;
	struct kring_extent g2h;
	__le64 restored;
};

/**
 * struct kring_producer_page - what the producer of a ring publishes
 * @head: bytes produced since the ring was made, free-running
 * @want_space: the producer sleeps until this many bytes are free; 0: it does not sleep
 */
struct kring_producer_page {
	__le32 head;
	__le32 want_space;
};

/**
 * struct kring_consumer_page - what the consumer of a ring publishes
 * @tail: bytes consumed since the ring was made, free-running
 * @want_data: 1: the consumer sleeps until there is a frame; 0: it does not sleep
 *
 * head - tail is never more than the size of the ring; anything else is corruption.
 */
struct kring_consumer_page {
	__le32 tail;
	__le32 want_data;
};

/**
 * struct kring_frame_header - what precedes a frame's payload in the data of a ring
 * @len: bytes of payload, 1 to size / 2 - 8; 0: the next frame is at the start of the
 *	data
 * @reserved: 0
 *
 * Frames begin at multiples of KRING_FRAME_ALIGN and never straddle the end of the data.
 */
struct kring_frame_header {
	__le32 len;
	__le32 reserved;
};

#define KRING_FRAME_ALIGN	8

/*
 * AMRB version 4: the format of Kalahari's ring, for a host or a guest that has that.
 *
 *	0	struct kring_amrb_header
 *	192	data of h2g, N bytes
 *	192 + N	data of g2h, N bytes
 *
 * A frame is a __le32 length and that many bytes, 1 to 16 MiB, at any address. A length of
 * 0, or fewer than four bytes left: the next frame is at the start of the data. There are no
 * want fields, so each publish kicks; and no name, generation or uuid.
 */
#define KRING_AMRB_MAGIC	0x414d5242U	/* "AMRB" */
#define KRING_AMRB_VERSION	4
#define KRING_AMRB_READY	0x52454144U	/* "READ" */
#define KRING_AMRB_FRAME_MAX	0x1000000U

/* What a region is called that has no name: its doorbell is the port kring.amrb. */
#define KRING_AMRB_NAME		"amrb"

/**
 * struct kring_amrb_cursors - of one ring
 * @head: bytes produced, free-running
 * @reserved1: not looked at
 * @tail: bytes consumed, free-running
 * @reserved2: not looked at
 */
struct kring_amrb_cursors {
	__le32 head;
	__u8 reserved1[28];
	__le32 tail;
	__u8 reserved2[28];
};

/**
 * struct kring_amrb_header - the start of a region in AMRB format
 * @state: KRING_AMRB_READY once all else is valid
 * @magic: KRING_AMRB_MAGIC
 * @version: KRING_AMRB_VERSION
 * @data_size: bytes of data of each ring, a power of two
 * @total_size: sizeof(struct kring_amrb_header) + 2 * @data_size
 * @reserved: not looked at
 * @h2g: cursors of the host-to-guest ring
 * @g2h: cursors of the guest-to-host ring
 */
struct kring_amrb_header {
	__le32 state;
	__le32 magic;
	__le32 version;
	__le32 data_size;
	__le64 total_size;
	__u8 reserved[40];
	struct kring_amrb_cursors h2g;
	struct kring_amrb_cursors g2h;
};

/* Each offset is part of the format. */
#define KRING_ASSERT_OFFSET(type, member, at) \
	static_assert(__builtin_offsetof(struct type, member) == (at), #type "." #member)
#define KRING_ASSERT_SIZE(type, bytes) \
	static_assert(sizeof(struct type) == (bytes), #type)

KRING_ASSERT_OFFSET(kring_header, magic, 0);
KRING_ASSERT_OFFSET(kring_header, version, 4);
KRING_ASSERT_OFFSET(kring_header, state, 8);
KRING_ASSERT_OFFSET(kring_header, granule, 12);
KRING_ASSERT_OFFSET(kring_header, features, 16);
KRING_ASSERT_OFFSET(kring_header, region_size, 24);
KRING_ASSERT_OFFSET(kring_header, generation, 32);
KRING_ASSERT_OFFSET(kring_header, uuid, 40);
KRING_ASSERT_OFFSET(kring_header, name, 56);
KRING_ASSERT_OFFSET(kring_header, h2g, 88);
KRING_ASSERT_OFFSET(kring_header, g2h, 104);
KRING_ASSERT_OFFSET(kring_header, restored, 120);
KRING_ASSERT_SIZE(kring_header, 128);
KRING_ASSERT_OFFSET(kring_extent, offset, 0);
KRING_ASSERT_OFFSET(kring_extent, size, 8);
KRING_ASSERT_SIZE(kring_extent, 16);
KRING_ASSERT_OFFSET(kring_producer_page, head, 0);
KRING_ASSERT_OFFSET(kring_producer_page, want_space, 4);
KRING_ASSERT_SIZE(kring_producer_page, 8);
KRING_ASSERT_OFFSET(kring_consumer_page, tail, 0);
KRING_ASSERT_OFFSET(kring_consumer_page, want_data, 4);
KRING_ASSERT_SIZE(kring_consumer_page, 8);
KRING_ASSERT_OFFSET(kring_frame_header, len, 0);
KRING_ASSERT_OFFSET(kring_frame_header, reserved, 4);
KRING_ASSERT_SIZE(kring_frame_header, 8);
KRING_ASSERT_OFFSET(kring_amrb_cursors, head, 0);
KRING_ASSERT_OFFSET(kring_amrb_cursors, tail, 32);
KRING_ASSERT_SIZE(kring_amrb_cursors, 64);
KRING_ASSERT_OFFSET(kring_amrb_header, state, 0);
KRING_ASSERT_OFFSET(kring_amrb_header, magic, 4);
KRING_ASSERT_OFFSET(kring_amrb_header, version, 8);
KRING_ASSERT_OFFSET(kring_amrb_header, data_size, 12);
KRING_ASSERT_OFFSET(kring_amrb_header, total_size, 16);
KRING_ASSERT_OFFSET(kring_amrb_header, h2g, 64);
KRING_ASSERT_OFFSET(kring_amrb_header, g2h, 128);
KRING_ASSERT_SIZE(kring_amrb_header, 192);

/*
 * /dev/kring
 *
 * Opening for reading claims the consumer of h2g, for writing the producer of g2h; each
 * is held by one open file at a time (EBUSY). read() returns one frame's payload, and a
 * read of 0 bytes nothing; write() sends its buffer as one frame. Both block unless
 * O_NONBLOCK (EAGAIN).
 *
 *	EMSGSIZE	read: the frame is larger than the buffer, and stays; write: it is
 *			larger than kring_info.g2h_frame_max
 *	EINVAL		write of 0 bytes: a frame has at least one
 *	EBADMSG		the ring is poisoned: what the host published makes no sense
 *	EBUSY		this file has mapped what it owns of the ring for writing
 *	ENODEV		the device is gone
 *
 * poll(): EPOLLIN a frame waits; EPOLLOUT the frame that was refused last would fit
 * now, or, when none was, some frame; EPOLLPRI the generation changed since this file
 * last asked for KRING_IOC_INFO (or was opened); EPOLLERR a ring that this file holds
 * is poisoned; EPOLLHUP the device is gone.
 *
 * There is no position: lseek(), pread() and pwrite() answer ESPIPE; splice(), sendfile()
 * and fsync() EINVAL.
 *
 * mmap() maps the region, MAP_SHARED; the offset in the file is that in the region. All of
 * it may be mapped for reading. For writing a mapping must lie within one part that the
 * file owns: open for reading, the consumer's page of h2g; for writing, the producer's page
 * or the data of g2h. As mmap() wants a file that is open for both wherever it is to write,
 * and one that is open for reading wherever it is to read, that means O_RDWR. A mapping
 * that was made for reading does not become writable.
 *
 *	EINVAL		not MAP_SHARED, or beyond the region
 *	EACCES		for writing: not within a part that the file owns; or PROT_EXEC
 *	EBUSY		for writing: read() or write() has used that ring already
 *	EOPNOTSUPP	the region's pages are smaller than the kernel's, or it has none (AMRB)
 *	ENODEV		the device is gone; what is mapped already faults with SIGBUS then
 *
 * The first use of a ring, read() or write() or a mapping for writing, decides for as long
 * as the file is open, which a mapping prolongs. With a mapping the program has the cursor:
 * it works by <kring/ring.h>, kicks by KRING_IOC_KICK where that says so, and announces by
 * kring_want_data() or kring_want_space() before it sleeps in poll(). That compares the
 * cursors in the region: EPOLLIN when they differ; EPOLLOUT when want_space bytes are free,
 * or room for the smallest frame when that is 0; EPOLLERR when they are further apart than
 * the ring is long. Such frames are not counted. The next file goes on where the region says.
 *
 * The host's end of a loopback pair, /dev/kring_loop, does all that with h2g and g2h in each
 * other's place, and may also write the header.
 */

/* kring_info.flags */
#define KRING_INFO_H2G_POISONED	0x1
#define KRING_INFO_G2H_POISONED	0x2
#define KRING_INFO_DOORBELL	0x4	/* a doorbell is attached */
#define KRING_INFO_HOST		0x8	/* the host's end: h2g and g2h change places */

/**
 * struct kring_info - answer of KRING_IOC_INFO
 * @generation: as in the header now; 0 where the format has none
 * @h2g_size: bytes of data of the host-to-guest ring
 * @g2h_size: bytes of data of the guest-to-host ring
 * @h2g_frame_max: the largest payload that read() can return (host's end: write() takes)
 * @g2h_frame_max: the largest payload that write() takes (host's end: read() can return)
 * @flags: KRING_INFO_*
 * @reserved: 0
 * @uuid: as in the header now; 0 where the format has none
 * @name: of the region, NUL-terminated
 */
struct kring_info {
	__u64 generation;
	__u32 h2g_size;
	__u32 g2h_size;
	__u32 h2g_frame_max;
	__u32 g2h_frame_max;
	__u32 flags;
	__u32 reserved;
	__u8 uuid[KRING_UUID_LEN];
	__u8 name[KRING_NAME_LEN];
};

KRING_ASSERT_OFFSET(kring_info, generation, 0);
KRING_ASSERT_OFFSET(kring_info, h2g_size, 8);
KRING_ASSERT_OFFSET(kring_info, g2h_size, 12);
KRING_ASSERT_OFFSET(kring_info, h2g_frame_max, 16);
KRING_ASSERT_OFFSET(kring_info, g2h_frame_max, 20);
KRING_ASSERT_OFFSET(kring_info, flags, 24);
KRING_ASSERT_OFFSET(kring_info, reserved, 28);
KRING_ASSERT_OFFSET(kring_info, uuid, 32);
KRING_ASSERT_OFFSET(kring_info, name, 48);
KRING_ASSERT_SIZE(kring_info, 80);

/**
 * struct kring_eventfds - a doorbell for KRING_IOC_EVENTFDS
 * @in: eventfd that is written to when the host has kicked; nobody else reads it
 * @out: eventfd that is written to when the host is to be kicked
 */
struct kring_eventfds {
	__s32 in;
	__s32 out;
};

KRING_ASSERT_OFFSET(kring_eventfds, in, 0);
KRING_ASSERT_OFFSET(kring_eventfds, out, 4);
KRING_ASSERT_SIZE(kring_eventfds, 8);

#define KRING_IOC_MAGIC		0xd7

/*
 * KRING_IOC_INFO	describe the region; the generation it returns counts as seen, which
 *			clears EPOLLPRI. EFAULT, ENODEV.
 * KRING_IOC_KICK	kick the host, whether it sleeps or not. Never blocks. ENODEV.
 * KRING_IOC_RESET	take up the rings that this file holds as the region shows them now,
 *			and un-poison them. EBADMSG: the cursors are still nonsense; EBUSY: a
 *			mapping has the cursor of one (the other is taken up). ENODEV.
 * KRING_IOC_EVENTFDS	make two eventfds the doorbell of an instance that has none, until
 *			this file is closed; {-1, -1} takes them back. EBUSY: there is a
 *			doorbell; ENOENT: this file has brought none; EBADF, EINVAL: not two
 *			eventfds; EFAULT, ENOMEM, ENODEV.
 */
#define KRING_IOC_INFO		_IOR(KRING_IOC_MAGIC, 0, struct kring_info)
#define KRING_IOC_KICK		_IO(KRING_IOC_MAGIC, 1)
#define KRING_IOC_RESET		_IO(KRING_IOC_MAGIC, 2)
#define KRING_IOC_EVENTFDS	_IOW(KRING_IOC_MAGIC, 3, struct kring_eventfds)

#endif /* _UAPI_LINUX_KRING_H */
