/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the ring's shared memory is to a prover: nothing is known about it.
 *
 * The headers are the shipped ones, barrier.h too. Only what the compiler would provide is
 * replaced: a load of shared memory may return anything, whoever stored there last, and however
 * often it was read before. A store must go where one may write, and tells nothing to later loads.
 */
#ifndef _PROOF_ENV_H
#define _PROOF_ENV_H

#include <string.h>
#include <linux/types.h>

/* Little-endian, as x86-64 is. */
#define le32_to_cpu(v)	((__u32)(v))
#define cpu_to_le32(v)	((__le32)(v))
#define le64_to_cpu(v)	((__u64)(v))
#define cpu_to_le64(v)	((__le64)(v))

/*@ requires \valid_read(at);
  @ assigns \nothing;
  @*/
__u8 proof_load8(const __u8 *at);

/*@ requires \valid_read(at);
  @ assigns \nothing;
  @*/
__u32 proof_load32(const __u32 *at);

/*@ requires \valid(at);
  @ assigns *at;
  @*/
void proof_store8(__u8 *at, __u8 v);

/*@ requires \valid(at);
  @ assigns *at;
  @*/
void proof_store32(__u32 *at, __u32 v);

/*@ requires \valid(at + (0 .. n - 1));
  @ assigns at[0 .. n - 1];
  @*/
void proof_fill(__u8 *at, int v, size_t n);

/*@ assigns \nothing; */
void proof_fence(void);

#define __atomic_load_n(at, order) \
	((__typeof__(*(at)))(sizeof(*(at)) == 1 ? proof_load8((const void *)(at)) : \
						  proof_load32((const void *)(at))))
#define __atomic_store_n(at, v, order) \
	(sizeof(*(at)) == 1 ? proof_store8((void *)(at), v) : proof_store32((void *)(at), v))
#define __atomic_thread_fence(order)	proof_fence()
#define memset(at, v, n)		proof_fill(at, v, n)

/* The compiler has looked at these. */
#define _Static_assert(condition, why)	struct kring_header

#endif
