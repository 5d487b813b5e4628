/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Tracepoints, the group kring of tracefs. Each names its instance, and where it has one its
 * ring; a cursor is where the frame's header begins. Names are copied: an instance may be gone
 * when the trace is read.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kring

#if !defined(KRING_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KRING_TRACE_H

#include <linux/tracepoint.h>

#include "kring.h"

#ifndef KRING_TRACE_NAME
#define KRING_TRACE_NAME	16
#endif

DECLARE_EVENT_CLASS(kring_frame,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d,
		 const struct kring_frame *frame),
	TP_ARGS(inst, d, frame),
	TP_STRUCT__entry(
		__array(char, instance, KRING_TRACE_NAME)
		__array(char, ring, 4)
		__field(u32, cursor)
		__field(u32, len)
	),
	TP_fast_assign(
		strscpy(__entry->instance, dev_name(&inst->dev), KRING_TRACE_NAME);
		strscpy(__entry->ring, d->name, 4);
		__entry->cursor = frame->cursor;
		__entry->len = frame->len;
	),
	TP_printk("%s %s cursor=%u len=%u", __entry->instance, __entry->ring, __entry->cursor,
		  __entry->len)
);

/* A frame was read by read(). */
DEFINE_EVENT(kring_frame, kring_recv,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d,
		 const struct kring_frame *frame),
	TP_ARGS(inst, d, frame)
);

/* A frame was published by write(). */
DEFINE_EVENT(kring_frame, kring_send,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d,
		 const struct kring_frame *frame),
	TP_ARGS(inst, d, frame)
);

DECLARE_EVENT_CLASS(kring_kick,
	TP_PROTO(const struct kring_instance *inst),
	TP_ARGS(inst),
	TP_STRUCT__entry(
		__array(char, instance, KRING_TRACE_NAME)
	),
	TP_fast_assign(
		strscpy(__entry->instance, dev_name(&inst->dev), KRING_TRACE_NAME);
	),
	TP_printk("%s", __entry->instance)
);

/* The doorbell was given a kick for the peer. */
DEFINE_EVENT(kring_kick, kring_kick_sent,
	TP_PROTO(const struct kring_instance *inst),
	TP_ARGS(inst)
);

/* A cursor was published that the peer does not wait for. */
DEFINE_EVENT(kring_kick, kring_kick_suppressed,
	TP_PROTO(const struct kring_instance *inst),
	TP_ARGS(inst)
);

/* The peer kicked. */
DEFINE_EVENT(kring_kick, kring_kick_received,
	TP_PROTO(const struct kring_instance *inst),
	TP_ARGS(inst)
);

DECLARE_EVENT_CLASS(kring_ring,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d),
	TP_ARGS(inst, d),
	TP_STRUCT__entry(
		__array(char, instance, KRING_TRACE_NAME)
		__array(char, ring, 4)
	),
	TP_fast_assign(
		strscpy(__entry->instance, dev_name(&inst->dev), KRING_TRACE_NAME);
		strscpy(__entry->ring, d->name, 4);
	),
	TP_printk("%s %s", __entry->instance, __entry->ring)
);

/* want_data or want_space is announced: whoever reads, writes or polls is about to sleep. */
DEFINE_EVENT(kring_ring, kring_wait,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d),
	TP_ARGS(inst, d)
);

/* The slow timer wakes those whom no kick woke. */
DEFINE_EVENT(kring_ring, kring_rescue,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d),
	TP_ARGS(inst, d)
);

/* A ring is poisoned; the cursors are those that were believed last. */
TRACE_EVENT(kring_poison,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d,
		 const char *fault, u32 at_head, u32 at_tail),
	TP_ARGS(inst, d, fault, at_head, at_tail),
	TP_STRUCT__entry(
		__array(char, instance, KRING_TRACE_NAME)
		__array(char, ring, 4)
		__array(char, fault, 64)
		__field(u32, head)
		__field(u32, tail)
	),
	TP_fast_assign(
		strscpy(__entry->instance, dev_name(&inst->dev), KRING_TRACE_NAME);
		strscpy(__entry->ring, d->name, 4);
		strscpy(__entry->fault, fault, 64);
		__entry->head = at_head;
		__entry->tail = at_tail;
	),
	TP_printk("%s %s head=%u tail=%u %s", __entry->instance, __entry->ring, __entry->head,
		  __entry->tail, __entry->fault)
);

/* A direction has seen that the host changed the generation. */
TRACE_EVENT(kring_generation,
	TP_PROTO(const struct kring_instance *inst, const struct kring_direction *d,
		 u64 generation),
	TP_ARGS(inst, d, generation),
	TP_STRUCT__entry(
		__array(char, instance, KRING_TRACE_NAME)
		__array(char, ring, 4)
		__field(u64, before)
		__field(u64, generation)
	),
	TP_fast_assign(
		strscpy(__entry->instance, dev_name(&inst->dev), KRING_TRACE_NAME);
		strscpy(__entry->ring, d->name, 4);
		__entry->before = d->generation;
		__entry->generation = generation;
	),
	TP_printk("%s %s %llu -> %llu", __entry->instance, __entry->ring, __entry->before,
		  __entry->generation)
);

#endif /* KRING_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
