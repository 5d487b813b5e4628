/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * What the ring algorithm needs from its surroundings: single loads and stores, their
 * ordering, and byte order.
 *
 * In the kernel these are the virt_*() barriers: the peer is the host, so they must
 * order memory on a uniprocessor guest kernel too, where smp_*() would not. In
 * userspace they are the compiler's atomics.
 */
#ifndef _KRING_BARRIER_H
#define _KRING_BARRIER_H

#ifdef __KERNEL__

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

/* What each pairs with is said where it is used. */
#define kring_load_acquire(p)		virt_load_acquire(p)		/* as above */
#define kring_store_release(p, v)	virt_store_release(p, v)	/* as above */
#define kring_mb()			virt_mb()			/* as above */

#else

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <linux/types.h>

#define kring_load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define kring_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define kring_mb()			__atomic_thread_fence(__ATOMIC_SEQ_CST)

#ifndef READ_ONCE
#define READ_ONCE(x)			__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)		__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#endif

#ifndef le32_to_cpu
#define le32_to_cpu(v)			le32toh(v)
#define cpu_to_le32(v)			htole32(v)
#define le64_to_cpu(v)			le64toh(v)
#define cpu_to_le64(v)			htole64(v)
#endif

#endif /* __KERNEL__ */

#endif /* _KRING_BARRIER_H */
