// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Directions: who holds one, who sleeps on it, and who wakes the sleepers.
 */
#include "kring.h"
#include "trace.h"

void kring_direction_init(struct kring_direction *d, const char *name, __poll_t key)
{
	d->name = name;
	d->key = key;
	mutex_init(&d->turn);
	mutex_init(&d->lock);
	init_waitqueue_head(&d->wait);
	atomic_set(&d->claimed, 0);
	atomic_set(&d->watched, 0);
}

/* Nobody touches the region through @d after this, and all who sleep on it know why. */
void kring_direction_remove(struct kring_direction *d)
{
	mutex_lock(&d->lock);
	d->gone = true;
	mutex_unlock(&d->lock);
	wake_up_all(&d->wait);
}

/**
 * kring_direction_claim() - become the one open file that holds @d
 * @d: direction
 *
 * Return: whether it was free.
 */
bool kring_direction_claim(struct kring_direction *d)
{
	return atomic_cmpxchg(&d->claimed, 0, 1) == 0;
}

/**
 * kring_direction_lock() - lock @d, if there is still a region behind it
 * @d: direction
 * @nowait: do not even wait for another reader's copy
 *
 * Return: 0 with the lock held, -ENODEV, or -EAGAIN with @nowait.
 */
int kring_direction_lock(struct kring_direction *d, bool nowait)
{
	if (!nowait)
		mutex_lock(&d->lock);
	else if (!mutex_trylock(&d->lock))
		return -EAGAIN;

	if (d->gone) {
		mutex_unlock(&d->lock);
		return -ENODEV;
	}
	return 0;
}

/**
 * kring_direction_use() - use @d in one way, if it is not used in the other
 * @d: direction, locked, held by the open file that asks
 * @use: how
 *
 * Return: 0 or -EBUSY.
 */
int kring_direction_use(struct kring_direction *d, enum kring_use use)
{
	if (d->use == KRING_USE_NONE)
		d->use = use;
	return d->use == use ? 0 : -EBUSY;
}

void kring_direction_unlock(struct kring_direction *d)
{
	mutex_unlock(&d->lock);
}

/**
 * kring_direction_pass_turn() - let the next one use @d
 * @d: direction, whose turn was ours
 *
 * An edge-triggered epoll looks once each time that it is woken. If it saw a frame which we
 * have taken since, or which a reader got EAGAIN for as the turn was ours, then nothing is
 * announced, and no kick will come for the next frame. So it must look again.
 */
void kring_direction_pass_turn(struct kring_direction *d)
{
	mutex_unlock(&d->turn);
	if (atomic_xchg(&d->watched, 0))
		wake_up_poll(&d->wait, d->key);
}

/* Wake the sleepers of @d. In any context. */
void kring_direction_wake(struct kring_direction *d)
{
	WRITE_ONCE(d->woken, true);
	wake_up_poll(&d->wait, d->key | EPOLLPRI);
}

/* Likewise, for a new generation: io_uring overlooks EPOLLPRI in a key, without one it asks. */
static void kring_direction_wake_all(struct kring_direction *d)
{
	WRITE_ONCE(d->woken, true);
	wake_up_all(&d->wait);
}

/**
 * kring_direction_doubt() - whether the region may have been replaced since the last look
 * @inst: instance
 * @d: direction, locked
 *
 * A restore changes the generation, but an old region's may become what the last one's was. So
 * a kick, or the fork of the VM, is reason enough to doubt.
 */
bool kring_direction_doubt(struct kring_instance *inst, struct kring_direction *d)
{
	u64 generation = kring_region_generation(&inst->region);

	if (generation != d->generation) {
		trace_kring_generation(inst, d, generation);
		d->generation = generation;
		/* The timer will not find it any more: whoever waits for EPOLLPRI learns it now. */
		kring_direction_wake_all(d);
	}
	if (!READ_ONCE(d->woken))
		return false;
	WRITE_ONCE(d->woken, false);
	return true;
}

/**
 * kring_direction_poison() - tell that @d's ring is poisoned, once
 * @inst: instance
 * @d: direction, locked
 * @fault: why
 * @r: the ring
 * @head: the producer's cursor, as we know it
 * @tail: the consumer's
 *
 * Return: -EBADMSG, what whoever uses @d gets from now on.
 */
int kring_direction_poison(struct kring_instance *inst, struct kring_direction *d,
			   const char *fault, const struct kring_ring *r, u32 head, u32 tail)
{
	if (!d->poisoned) {
		d->poisoned = true;
		trace_kring_poison(inst, d, fault, head, tail);
		/* As often as the guest resets what the host spoils again. */
		dev_err_ratelimited(&inst->dev,
				    "%s is poisoned: %s (head %u, tail %u; in the region %u, %u)\n",
				    d->name, fault, head, tail, le32_to_cpu(READ_ONCE(*r->head)),
				    le32_to_cpu(READ_ONCE(*r->tail)));
		wake_up_all(&d->wait);
	}
	return -EBADMSG;
}

/* The want field of @d is set: from here on a kick may be lost. @d is locked. */
void kring_direction_wait(struct kring_instance *inst, struct kring_direction *d)
{
	if (!d->waiting)
		trace_kring_wait(inst, d);
	d->waiting = true;
	WRITE_ONCE(d->woken, false);
	kring_instance_rescue_later(inst);
}

/* What poll() says when @d is ready. @d is locked. */
__poll_t kring_direction_ready(struct kring_direction *d)
{
	atomic_set(&d->watched, 1);
	/* Told is as good as woken. */
	if (d->waiting)
		WRITE_ONCE(d->woken, true);
	return d->key;
}

/**
 * kring_direction_done() - a frame went through
 * @d: direction, locked, and its turn is ours
 * @len: of its payload
 * @in_flight: bytes seen in flight
 *
 * Nothing is announced any more. Whoever else slept on that is woken to announce anew.
 */
void kring_direction_done(struct kring_direction *d, u32 len, u32 in_flight)
{
	d->frames++;
	d->bytes += len;
	d->high_water = max(d->high_water, in_flight);
	if (d->waiting) {
		d->waiting = false;
		atomic_set(&d->watched, 1);
	}
}

/**
 * kring_direction_rescue() - wake those whom a kick should have woken
 * @inst: instance
 * @d: direction, locked
 * @ready: it is announced that they wait for data or space, and there is
 *
 * Who was woken and has not come to look yet needs no rescue, and is not counted.
 *
 * Return: whether the timer must look again.
 */
bool kring_direction_rescue(struct kring_instance *inst, struct kring_direction *d, bool ready)
{
	bool restored;

	/* Who sleeps was in the queue before it started the timer. */
	if (!waitqueue_active(&d->wait))
		return false;
	/* A new generation is to be told of as well, and compared with. */
	restored = kring_region_generation(&inst->region) != d->generation;
	if (ready || restored) {
		if (!READ_ONCE(d->woken)) {
			trace_kring_rescue(inst, d);
			atomic64_inc(&inst->wakeups_rescued);
		}
		if (restored)
			kring_direction_wake_all(d);
		else
			kring_direction_wake(d);
	}
	return true;
}

/**
 * kring_direction_poll_mapped() - what poll() says of a direction whose cursor the program has
 * @inst: instance
 * @d: direction, locked
 * @ready: whether there is data or room, or -EBADMSG: the cursors are nonsense
 *
 * The program announces that it waits, before it calls poll().
 */
__poll_t kring_direction_poll_mapped(struct kring_instance *inst, struct kring_direction *d,
				     int ready)
{
	kring_direction_doubt(inst, d);
	if (ready < 0)
		return EPOLLERR;
	WRITE_ONCE(d->woken, ready);
	return ready ? kring_direction_ready(d) : 0;
}
