// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Directions: who holds one, who sleeps on it, and who wakes the sleepers.
 */
#include "kring.h"

void kring_direction_init(struct kring_direction *d, const char *name)
{
	d->name = name;
	mutex_init(&d->turn);
	mutex_init(&d->lock);
	init_waitqueue_head(&d->wait);
	atomic_set(&d->claimed, 0);
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

void kring_direction_unlock(struct kring_direction *d)
{
	mutex_unlock(&d->lock);
}

/* Wake the sleepers of @d. In any context. */
void kring_direction_wake(struct kring_direction *d, __poll_t key)
{
	WRITE_ONCE(d->woken, true);
	wake_up_poll(&d->wait, key);
}

/**
 * kring_direction_poison() - tell that @d's ring is poisoned, once
 * @inst: instance
 * @d: direction, locked
 * @fault: why
 *
 * Return: -EBADMSG, what whoever uses @d gets from now on.
 */
int kring_direction_poison(struct kring_instance *inst, struct kring_direction *d,
			   const char *fault)
{
	if (!d->poisoned) {
		d->poisoned = true;
		/* As often as the guest resets what the host spoils again. */
		dev_err_ratelimited(&inst->dev, "%s is poisoned: %s\n", d->name, fault);
		wake_up_all(&d->wait);
	}
	return -EBADMSG;
}

/* The want field of @d is set: from here on a kick may be lost. @d is locked. */
void kring_direction_wait(struct kring_instance *inst, struct kring_direction *d)
{
	d->waiting = true;
	WRITE_ONCE(d->woken, false);
	kring_instance_rescue_later(inst);
}

/**
 * kring_direction_done() - a frame went through
 * @d: direction, locked
 * @key: what others wait for
 * @len: of its payload
 * @in_flight: bytes seen in flight
 *
 * Nothing is announced any more. Whoever else slept on that is woken to announce anew.
 */
void kring_direction_done(struct kring_direction *d, __poll_t key, u32 len, u32 in_flight)
{
	d->frames++;
	d->bytes += len;
	d->high_water = max(d->high_water, in_flight);
	if (d->waiting) {
		d->waiting = false;
		kring_direction_wake(d, key);
	}
}

/**
 * kring_direction_rescue() - wake those whom a kick should have woken
 * @inst: instance
 * @d: direction, locked
 * @ready: there is what they wait for
 *
 * Who was woken and has not come to look yet needs no rescue, and is not counted.
 *
 * Return: whether the timer must look again.
 */
bool kring_direction_rescue(struct kring_instance *inst, struct kring_direction *d, bool ready)
{
	/* Who sleeps was in the queue before it took the lock to announce that. */
	if (!waitqueue_active(&d->wait))
		return false;
	/* A new generation is to be told of as well, and compared with. */
	if (ready || kring_region_generation(&inst->region) != d->generation) {
		if (!READ_ONCE(d->woken))
			atomic64_inc(&inst->wakeups_rescued);
		kring_direction_wake(d, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLPRI);
	}
	return true;
}
