// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * In: this end as consumer of what the peer sends. The mirror of out.c.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kring.h"
#include "trace.h"

static int kring_in_poison(struct kring_instance *inst)
{
	const struct kring_consumer *c = &inst->consumer;

	return kring_direction_poison(inst, &inst->in, c->fault, &c->ring, c->head, c->tail);
}

/*
 * The region must be from the same moment as our memory. Our own cursor is compared each time,
 * as nobody else writes it; the host's when there is reason, as it may be on its way to us.
 */
static void kring_in_check(struct kring_instance *inst)
{
	bool doubt = kring_direction_doubt(inst, &inst->in);
	struct kring_consumer *c = &inst->consumer;
	u32 seen = c->head - c->tail;

	if (!kring_consumer_check(c) && doubt && !kring_load_head(c) && c->head - c->tail < seen)
		kring_consumer_poison(c, "head in the region is behind where it was");
}

/*
 * The next frame, or -EAGAIN with want_data announced, and all room given back.
 *
 * A host may publish a skip alone, again and again. What it publishes after the announcement
 * it kicks for, so we need not look for ever.
 */
static int kring_in_peek(struct kring_instance *inst, struct kring_frame *frame)
{
	struct kring_direction *d = &inst->in;
	struct kring_consumer *c = &inst->consumer;
	int looks = 3;
	int err;

	kring_in_check(inst);
	for (;;) {
		err = kring_peek(c, frame);
		if (err != -EAGAIN)
			break;
		if (kring_unreleased(c))
			kring_instance_publish(inst, kring_release(c));
		kring_direction_wait(inst, d);
		if (!kring_want_data(c) || !--looks)
			break;
	}
	return err == -EBADMSG ? kring_in_poison(inst) : err;
}

/* The state that the last guest driver left, or the host made. */
void kring_in_attach(struct kring_instance *inst)
{
	struct kring_ring in, out;

	kring_instance_rings(inst, &in, &out);
	inst->in.generation = kring_region_generation(&inst->region);
	inst->in.poisoned = false;
	if (kring_consumer_attach(&inst->consumer, &in))
		kring_in_poison(inst);
}

/**
 * kring_in_spin() - look for a frame before it is announced that one is waited for
 * @inst: instance
 *
 * Where the host answers within busy_poll_us, neither has to kick the other. The lock is given
 * up after each look, as an unbind may want it.
 */
void kring_in_spin(struct kring_instance *inst)
{
	u64 end = ktime_get_ns() + (u64)READ_ONCE(kring_busy_poll_us) * NSEC_PER_USEC;
	struct kring_direction *d = &inst->in;
	bool empty;

	while (!need_resched() && !signal_pending(current) && ktime_get_ns() < end) {
		if (kring_direction_lock(d, false))
			return;
		empty = d->use != KRING_USE_MAPPING && !kring_readable(&inst->consumer);
		kring_direction_unlock(d);
		if (!empty)
			return;
		cpu_relax();
	}
}

/**
 * kring_in_recv() - receive one frame
 * @inst: instance
 * @to: where to
 * @nowait: do not wait for another reader
 *
 * Return: its bytes, -EAGAIN: there is none; a kick will come, -EMSGSIZE: it does not fit
 * in @to, and stays, -EFAULT: likewise, -EBUSY: a mapping has the cursor, -EBADMSG,
 * -ENODEV, -EINTR.
 */
ssize_t kring_in_recv(struct kring_instance *inst, struct iov_iter *to, bool nowait)
{
	struct kring_direction *d = &inst->in;
	struct kring_consumer *c = &inst->consumer;
	struct kring_frame frame;
	u32 in_flight;
	int tries = KRING_FAULT_TRIES;
	size_t copied;
	ssize_t ret;

again:
	ret = kring_direction_lock(d, nowait);
	if (ret)
		return ret;
	ret = kring_direction_use(d, KRING_USE_FRAMES);
	if (ret)
		goto unlock;
	ret = kring_in_peek(inst, &frame);
	if (ret)
		goto unlock;
	ret = -EMSGSIZE;
	if (frame.len > iov_iter_count(to))
		goto unlock;

	pagefault_disable();
	copied = copy_to_iter(frame.payload, frame.len, to);
	pagefault_enable();
	if (copied != frame.len) {
		kring_direction_unlock(d);
		iov_iter_revert(to, copied);
		if (fault_in_iov_iter_writeable(to, frame.len) || !--tries)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		goto again;
	}

	in_flight = c->head - c->tail;
	trace_kring_recv(inst, d, &frame);
	kring_advance(c, &frame);
	if (d->waiting)
		kring_got_data(c);
	kring_instance_publish(inst, kring_release(c));
	kring_direction_done(d, frame.len, in_flight);
	ret = frame.len;
unlock:
	kring_direction_unlock(d);
	return ret;
}

/*
 * While a mapping has the cursor: whether there are frames, or -EBADMSG. Each word is read once,
 * as the program may be as hostile as the host.
 */
static int kring_in_mapped_ready(const struct kring_ring *r)
{
	u32 tail = le32_to_cpu(READ_ONCE(*r->tail));
	u32 used = le32_to_cpu(READ_ONCE(*r->head)) - tail;

	return used > r->size ? -EBADMSG : used > 0;
}

/*
 * What poll() says of reading; when nothing, want_data is announced. Whatever it says, the timer
 * runs: who waits for a new generation alone may have to sleep with a frame before him.
 */
__poll_t kring_in_poll(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->in;
	struct kring_frame frame;
	__poll_t mask = 0;
	int err;

	err = kring_direction_lock(d, false);
	if (err)
		return EPOLLHUP | EPOLLERR;
	if (d->use == KRING_USE_MAPPING) {
		mask = kring_direction_poll_mapped(inst, d,
						   kring_in_mapped_ready(&inst->consumer.ring));
		goto rescue;
	}
	err = kring_in_peek(inst, &frame);
	if (!err)
		mask = kring_direction_ready(d);
	else if (err == -EBADMSG)
		mask = EPOLLERR;
rescue:
	kring_instance_rescue_later(inst);
	kring_direction_unlock(d);
	return mask;
}

/* They wait, and there is what they wait for. */
static bool kring_in_overdue(struct kring_instance *inst)
{
	struct kring_consumer *c = &inst->consumer;

	if (inst->in.use == KRING_USE_MAPPING)
		return READ_ONCE(*c->ring.want_data) && kring_in_mapped_ready(&c->ring);
	return inst->in.waiting && (kring_consumer_check(c) || kring_readable(c));
}

/* The slow timer's look. Return: whether it must come again. */
bool kring_in_rescue(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->in;
	bool again;

	if (kring_direction_lock(d, false))
		return false;
	again = kring_direction_rescue(inst, d, kring_in_overdue(inst));
	kring_direction_unlock(d);
	return again;
}

/* Take it up as the region has it now, poisoned or not. */
int kring_in_reset(struct kring_instance *inst)
{
	int err;

	err = kring_direction_lock(&inst->in, false);
	if (err)
		return err;
	if (inst->in.use == KRING_USE_MAPPING) {
		err = -EBUSY;
		goto unlock;
	}
	kring_in_attach(inst);
	err = inst->consumer.fault ? -EBADMSG : 0;
unlock:
	kring_direction_unlock(&inst->in);
	return err;
}

/* A program maps what the consumer writes: the cursor is its own from now on. */
int kring_in_give(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->in;
	int err;

	err = kring_direction_lock(d, false);
	if (err)
		return err;
	if (d->use == KRING_USE_NONE) {
		d->waiting = false;
		kring_got_data(&inst->consumer);
	}
	err = kring_direction_use(d, KRING_USE_MAPPING);
	kring_direction_unlock(d);
	return err;
}

/* The file that held it is closed: nobody waits any more. */
void kring_in_close(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->in;

	if (!kring_direction_lock(d, false)) {
		if (d->use == KRING_USE_MAPPING)
			kring_in_attach(inst);
		d->use = KRING_USE_NONE;
		d->waiting = false;
		kring_got_data(&inst->consumer);
		kring_direction_unlock(d);
	}
	atomic_set_release(&d->claimed, 0);
}
