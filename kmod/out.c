// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Out: this end as producer of what the peer receives. The mirror of in.c.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kring.h"
#include "trace.h"

static int kring_out_poison(struct kring_instance *inst)
{
	const struct kring_producer *p = &inst->producer;

	return kring_direction_poison(inst, &inst->out, p->fault, &p->ring, p->head, p->tail);
}

/* As kring_in_check(). Room that was seen and is not there was written to, maybe. */
static void kring_out_check(struct kring_instance *inst)
{
	bool doubt = kring_direction_doubt(inst, &inst->out);
	struct kring_producer *p = &inst->producer;
	u32 seen = p->head - p->tail;

	if (!kring_producer_check(p) && doubt && !kring_load_tail(p) && p->head - p->tail > seen)
		kring_producer_poison(p, "tail in the region is behind where it was");
}

/* Room for a frame, or -EAGAIN with want_space announced. */
static int kring_out_reserve(struct kring_instance *inst, size_t len, struct kring_frame *frame)
{
	struct kring_direction *d = &inst->out;
	struct kring_producer *p = &inst->producer;
	int err;

	kring_out_check(inst);
	if (len > p->ring.send_max)
		return p->fault ? kring_out_poison(inst) : -EMSGSIZE;
	err = kring_reserve(p, len, frame);
	if (err == -EAGAIN) {
		kring_direction_wait(inst, d);
		if (kring_want_space(p))
			err = kring_reserve(p, len, frame);
	}
	if (err == -EBADMSG)
		return kring_out_poison(inst);
	return err;
}

/* The state that the last guest driver left, or the host made. */
void kring_out_attach(struct kring_instance *inst)
{
	struct kring_ring in, out;

	kring_instance_rings(inst, &in, &out);
	inst->out.generation = kring_region_generation(&inst->region);
	inst->out.poisoned = false;
	if (kring_producer_attach(&inst->producer, &out))
		kring_out_poison(inst);
}

/**
 * kring_out_send() - send one frame
 * @inst: instance
 * @from: its bytes, all that there are
 * @nowait: do not wait for another writer
 *
 * Return: its bytes, -EAGAIN: no room; a kick will come, -EMSGSIZE: too large for ever,
 * -EINVAL: empty, -EBUSY: a mapping has the cursor, -EFAULT, -EBADMSG, -ENODEV, -EINTR.
 * Nothing is sent then.
 */
ssize_t kring_out_send(struct kring_instance *inst, struct iov_iter *from, bool nowait)
{
	struct kring_direction *d = &inst->out;
	struct kring_producer *p = &inst->producer;
	size_t len = iov_iter_count(from);
	struct kring_frame frame;
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
	ret = kring_out_reserve(inst, len, &frame);
	if (ret)
		goto unlock;

	pagefault_disable();
	copied = copy_from_iter(frame.payload, len, from);
	pagefault_enable();
	if (copied != len) {
		kring_direction_unlock(d);
		iov_iter_revert(from, copied);
		if (fault_in_iov_iter_readable(from, len) || !--tries)
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		goto again;
	}

	trace_kring_send(inst, d, &frame);
	kring_commit(p, &frame);
	if (d->waiting)
		kring_got_space(p);
	kring_instance_publish(inst, kring_submit(p));
	kring_direction_done(d, len, p->head - p->tail);
	ret = len;
unlock:
	kring_direction_unlock(d);
	return ret;
}

/* As kring_in_mapped_ready(). What the program waits for is in the region, too. */
static int kring_out_mapped_ready(const struct kring_ring *r)
{
	u32 head = le32_to_cpu(READ_ONCE(*r->head));
	u32 used = head - le32_to_cpu(READ_ONCE(*r->tail));
	u32 want = le32_to_cpu(READ_ONCE(*r->want_space));

	if (used > r->size)
		return -EBADMSG;
	return r->size - used >= (want ? want : 2 * kring_frame_size(r, 1));
}

/* What poll() says of writing; when nothing, want_space is announced. The timer runs. */
__poll_t kring_out_poll(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->out;
	struct kring_producer *p = &inst->producer;
	__poll_t mask = 0;

	if (kring_direction_lock(d, false))
		return EPOLLHUP | EPOLLERR;
	if (d->use == KRING_USE_MAPPING) {
		mask = kring_direction_poll_mapped(inst, d, kring_out_mapped_ready(&p->ring));
		goto rescue;
	}
	kring_out_check(inst);
	if (!kring_writable(p)) {
		kring_direction_wait(inst, d);
		kring_want_space(p);
	}
	if (p->fault) {
		kring_out_poison(inst);
		mask = EPOLLERR;
	} else if (kring_writable(p)) {
		mask = kring_direction_ready(d);
	}
rescue:
	kring_instance_rescue_later(inst);
	kring_direction_unlock(d);
	return mask;
}

/* They wait, and there is what they wait for. */
static bool kring_out_overdue(struct kring_instance *inst)
{
	struct kring_producer *p = &inst->producer;

	if (inst->out.use == KRING_USE_MAPPING)
		return READ_ONCE(*p->ring.want_space) && kring_out_mapped_ready(&p->ring);
	return inst->out.waiting && (kring_producer_check(p) || kring_writable(p));
}

/* The slow timer's look. Return: whether it must come again. */
bool kring_out_rescue(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->out;
	bool again;

	if (kring_direction_lock(d, false))
		return false;
	again = kring_direction_rescue(inst, d, kring_out_overdue(inst));
	kring_direction_unlock(d);
	return again;
}

/* Take it up as the region has it now, poisoned or not. */
int kring_out_reset(struct kring_instance *inst)
{
	int err;

	err = kring_direction_lock(&inst->out, false);
	if (err)
		return err;
	if (inst->out.use == KRING_USE_MAPPING) {
		err = -EBUSY;
		goto unlock;
	}
	kring_out_attach(inst);
	err = inst->producer.fault ? -EBADMSG : 0;
unlock:
	kring_direction_unlock(&inst->out);
	return err;
}

/* A program maps what the producer writes: the cursor is its own from now on. */
int kring_out_give(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->out;
	int err;

	err = kring_direction_lock(d, false);
	if (err)
		return err;
	if (d->use == KRING_USE_NONE) {
		d->waiting = false;
		inst->producer.want = 0;
		kring_got_space(&inst->producer);
	}
	err = kring_direction_use(d, KRING_USE_MAPPING);
	kring_direction_unlock(d);
	return err;
}

/* The file that held it is closed: nobody waits any more. */
void kring_out_close(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->out;

	if (!kring_direction_lock(d, false)) {
		if (d->use == KRING_USE_MAPPING)
			kring_out_attach(inst);
		d->use = KRING_USE_NONE;
		d->waiting = false;
		inst->producer.want = 0;
		kring_got_space(&inst->producer);
		kring_direction_unlock(d);
	}
	atomic_set_release(&d->claimed, 0);
}
