// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * g2h: the guest as producer of what the host receives. The mirror of h2g.c.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kring.h"

static int kring_g2h_poison(struct kring_instance *inst)
{
	const struct kring_producer *p = &inst->producer;

	return kring_direction_poison(inst, &inst->g2h, p->fault, &p->ring, p->head, p->tail);
}

/* As kring_h2g_check(). Room that was seen and is not there was written to, maybe. */
static void kring_g2h_check(struct kring_instance *inst)
{
	bool doubt = kring_direction_doubt(inst, &inst->g2h);
	struct kring_producer *p = &inst->producer;
	u32 seen = p->head - p->tail;

	if (!kring_producer_check(p) && doubt && !kring_load_tail(p) && p->head - p->tail > seen)
		kring_producer_poison(p, "tail in the region is behind where it was");
}

/* Room for a frame, or -EAGAIN with want_space announced. */
static int kring_g2h_reserve(struct kring_instance *inst, size_t len, struct kring_frame *frame)
{
	struct kring_direction *d = &inst->g2h;
	struct kring_producer *p = &inst->producer;
	int err;

	kring_g2h_check(inst);
	if (len > p->ring.send_max)
		return p->fault ? kring_g2h_poison(inst) : -EMSGSIZE;
	err = kring_reserve(p, len, frame);
	if (err == -EAGAIN) {
		kring_direction_wait(inst, d);
		if (kring_want_space(p))
			err = kring_reserve(p, len, frame);
	}
	if (err == -EBADMSG)
		return kring_g2h_poison(inst);
	return err;
}

/* The state that the last guest driver left, or the host made. */
void kring_g2h_attach(struct kring_instance *inst)
{
	struct kring_ring h2g, g2h;

	kring_layout_rings(&inst->region.layout, inst->region.base, &h2g, &g2h);
	inst->g2h.generation = kring_region_generation(&inst->region);
	inst->g2h.poisoned = false;
	if (kring_producer_attach(&inst->producer, &g2h))
		kring_g2h_poison(inst);
}

/**
 * kring_g2h_send() - send one frame
 * @inst: instance
 * @from: its bytes, all that there are
 * @nowait: do not wait for another writer
 *
 * Return: its bytes, -EAGAIN: no room; a kick will come, -EMSGSIZE: too large for ever,
 * -EINVAL: empty, -EFAULT, -EBADMSG, -ENODEV, -EINTR. Nothing is sent then.
 */
ssize_t kring_g2h_send(struct kring_instance *inst, struct iov_iter *from, bool nowait)
{
	struct kring_direction *d = &inst->g2h;
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
	ret = kring_g2h_reserve(inst, len, &frame);
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

/* What poll() says of g2h; when nothing, want_space is announced. The timer runs. */
__poll_t kring_g2h_poll(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->g2h;
	struct kring_producer *p = &inst->producer;
	__poll_t mask = 0;

	if (kring_direction_lock(d, false))
		return EPOLLHUP | EPOLLERR;
	kring_g2h_check(inst);
	if (!kring_writable(p)) {
		kring_direction_wait(inst, d);
		kring_want_space(p);
	}
	if (p->fault) {
		kring_g2h_poison(inst);
		mask = EPOLLERR;
	} else if (kring_writable(p)) {
		mask = kring_direction_ready(d);
	}
	kring_instance_rescue_later(inst);
	kring_direction_unlock(d);
	return mask;
}

/* The slow timer's look. Return: whether it must come again. */
bool kring_g2h_rescue(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->g2h;
	struct kring_producer *p = &inst->producer;
	bool again;

	if (kring_direction_lock(d, false))
		return false;
	again = kring_direction_rescue(inst, d, d->waiting &&
				       (kring_producer_check(p) || kring_writable(p)));
	kring_direction_unlock(d);
	return again;
}

/* Take g2h up as the region has it now, poisoned or not. */
int kring_g2h_reset(struct kring_instance *inst)
{
	int err;

	err = kring_direction_lock(&inst->g2h, false);
	if (err)
		return err;
	kring_g2h_attach(inst);
	err = inst->producer.fault ? -EBADMSG : 0;
	kring_direction_unlock(&inst->g2h);
	return err;
}

/* The file that held g2h is closed: nobody waits any more. */
void kring_g2h_close(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->g2h;

	if (!kring_direction_lock(d, false)) {
		d->waiting = false;
		inst->producer.want = 0;
		kring_got_space(&inst->producer);
		kring_direction_unlock(d);
	}
	atomic_set_release(&d->claimed, 0);
}
