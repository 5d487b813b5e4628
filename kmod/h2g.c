// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * h2g: the guest as consumer of what the host sends. The mirror of g2h.c.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kring.h"

static int kring_h2g_poison(struct kring_instance *inst)
{
	const struct kring_consumer *c = &inst->consumer;

	return kring_direction_poison(inst, &inst->h2g, c->fault, &c->ring, c->head, c->tail);
}

/*
 * The region must be from the same moment as our memory. Our own cursor is compared each time,
 * as nobody else writes it; the host's when there is reason, as it may be on its way to us.
 */
static void kring_h2g_check(struct kring_instance *inst)
{
	bool doubt = kring_direction_doubt(inst, &inst->h2g);
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
static int kring_h2g_peek(struct kring_instance *inst, struct kring_frame *frame)
{
	struct kring_direction *d = &inst->h2g;
	struct kring_consumer *c = &inst->consumer;
	int looks = 3;
	int err;

	kring_h2g_check(inst);
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
	return err == -EBADMSG ? kring_h2g_poison(inst) : err;
}

/* The state that the last guest driver left, or the host made. */
void kring_h2g_attach(struct kring_instance *inst)
{
	struct kring_ring h2g, g2h;

	kring_layout_rings(&inst->region.layout, inst->region.base, &h2g, &g2h);
	inst->h2g.generation = kring_region_generation(&inst->region);
	inst->h2g.poisoned = false;
	if (kring_consumer_attach(&inst->consumer, &h2g))
		kring_h2g_poison(inst);
}

/**
 * kring_h2g_recv() - receive one frame
 * @inst: instance
 * @to: where to
 * @nowait: do not wait for another reader
 *
 * Return: its bytes, -EAGAIN: there is none; a kick will come, -EMSGSIZE: it does not fit
 * in @to, and stays, -EFAULT: likewise, -EBADMSG, -ENODEV, -EINTR.
 */
ssize_t kring_h2g_recv(struct kring_instance *inst, struct iov_iter *to, bool nowait)
{
	struct kring_direction *d = &inst->h2g;
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
	ret = kring_h2g_peek(inst, &frame);
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
 * What poll() says of h2g; when nothing, want_data is announced. Whatever it says, the timer
 * runs: who waits for a new generation alone may have to sleep with a frame before him.
 */
__poll_t kring_h2g_poll(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->h2g;
	struct kring_frame frame;
	__poll_t mask = 0;
	int err;

	err = kring_direction_lock(d, false);
	if (err)
		return EPOLLHUP | EPOLLERR;
	err = kring_h2g_peek(inst, &frame);
	if (!err)
		mask = kring_direction_ready(d);
	else if (err == -EBADMSG)
		mask = EPOLLERR;
	kring_instance_rescue_later(inst);
	kring_direction_unlock(d);
	return mask;
}

/* The slow timer's look. Return: whether it must come again. */
bool kring_h2g_rescue(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->h2g;
	struct kring_consumer *c = &inst->consumer;
	bool again;

	if (kring_direction_lock(d, false))
		return false;
	again = kring_direction_rescue(inst, d, d->waiting &&
				       (kring_consumer_check(c) || kring_readable(c)));
	kring_direction_unlock(d);
	return again;
}

/* Take h2g up as the region has it now, poisoned or not. */
int kring_h2g_reset(struct kring_instance *inst)
{
	int err;

	err = kring_direction_lock(&inst->h2g, false);
	if (err)
		return err;
	kring_h2g_attach(inst);
	err = inst->consumer.fault ? -EBADMSG : 0;
	kring_direction_unlock(&inst->h2g);
	return err;
}

/* The file that held h2g is closed: nobody waits any more. */
void kring_h2g_close(struct kring_instance *inst)
{
	struct kring_direction *d = &inst->h2g;

	if (!kring_direction_lock(d, false)) {
		d->waiting = false;
		kring_got_data(&inst->consumer);
		kring_direction_unlock(d);
	}
	atomic_set_release(&d->claimed, 0);
}
