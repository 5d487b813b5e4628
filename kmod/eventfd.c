// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Doorbell: a pair of eventfds, for whoever has another way to wake the host: a port of a
 * console that others use too, a vsock connection, a serial line. It belongs to the open
 * file that gave it.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>

#include "compat.h"
#include "kring.h"

/**
 * struct kring_eventfd - one pair
 * @doorbell: what it is for
 * @in_file: where the host's kicks come in; held, so that it outlives our place in its queue
 * @in: the same
 * @out: where kicks to the host go out
 * @queue: of @in
 * @wait: our place in it
 * @poll: how it got there
 */
struct kring_eventfd {
	struct kring_doorbell doorbell;
	struct file *in_file;
	struct eventfd_ctx *in;
	struct eventfd_ctx *out;
	wait_queue_head_t *queue;
	wait_queue_entry_t wait;
	poll_table poll;
};

static struct kring_eventfd *to_eventfd(struct kring_doorbell *db)
{
	return container_of(db, struct kring_eventfd, doorbell);
}

static void kring_eventfd_kick(struct kring_doorbell *db)
{
	kring_eventfd_signal(to_eventfd(db)->out);
}

static const struct kring_doorbell_ops kring_eventfd_ops = {
	.kind = "eventfd",
	.kick = kring_eventfd_kick,
};

/* @in was written to: its queue is locked, interrupts may be off. */
static int kring_eventfd_rung(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct kring_eventfd *e = container_of(wait, struct kring_eventfd, wait);
	u64 count;

	if (key_to_poll(key) & EPOLLIN) {
		/* Nobody else reads it. */
		eventfd_ctx_do_read(e->in, &count);
		kring_registry_ring(&e->doorbell);
	}
	return 0;
}

static void kring_eventfd_enqueue(struct file *file, wait_queue_head_t *queue, poll_table *poll)
{
	struct kring_eventfd *e = container_of(poll, struct kring_eventfd, poll);

	e->queue = queue;
	add_wait_queue(queue, &e->wait);
}

static int kring_eventfd_get(struct kring_eventfd *e, int in, int out)
{
	int err;

	e->in_file = eventfd_fget(in);
	if (IS_ERR(e->in_file))
		return PTR_ERR(e->in_file);
	e->in = eventfd_ctx_fileget(e->in_file);
	if (IS_ERR(e->in)) {
		err = PTR_ERR(e->in);
		goto put_in_file;
	}
	e->out = eventfd_ctx_fdget(out);
	if (IS_ERR(e->out)) {
		err = PTR_ERR(e->out);
		goto put_in;
	}
	/* Each would wake the other, for ever. */
	if (e->in == e->out) {
		err = -EINVAL;
		goto put_out;
	}
	return 0;

put_out:
	eventfd_ctx_put(e->out);
put_in:
	eventfd_ctx_put(e->in);
put_in_file:
	fput(e->in_file);
	return err;
}

static void kring_eventfd_put(struct kring_eventfd *e)
{
	eventfd_ctx_put(e->out);
	eventfd_ctx_put(e->in);
	fput(e->in_file);
}

/**
 * kring_eventfd_add() - make a pair of eventfds the doorbell of an instance
 * @inst: instance
 * @in: eventfd that is written to for the host's kicks
 * @out: eventfd that is written to for kicks to the host
 *
 * Return: for kring_eventfd_remove(), or ERR_PTR(): -EBADF, -EINVAL: not two eventfds,
 * -EBUSY: there is a doorbell already, -ENODEV: the device is gone, -ENOMEM.
 */
struct kring_doorbell *kring_eventfd_add(struct kring_instance *inst, int in, int out)
{
	struct kring_eventfd *e;
	int err;

	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return ERR_PTR(-ENOMEM);
	err = kring_eventfd_get(e, in, out);
	if (err)
		goto free_eventfd;

	e->doorbell.ops = &kring_eventfd_ops;
	err = kring_registry_give_doorbell(&e->doorbell, inst);
	if (err)
		goto put_eventfd;

	init_waitqueue_func_entry(&e->wait, kring_eventfd_rung);
	init_poll_funcptr(&e->poll, kring_eventfd_enqueue);
	/* What was rung before we were in the queue counts, too. */
	if (vfs_poll(e->in_file, &e->poll) & EPOLLIN)
		kring_registry_ring(&e->doorbell);
	return &e->doorbell;

put_eventfd:
	kring_eventfd_put(e);
free_eventfd:
	kfree(e);
	return ERR_PTR(err);
}

/* The instance has no doorbell, or another one, after this. */
void kring_eventfd_remove(struct kring_doorbell *db)
{
	struct kring_eventfd *e = to_eventfd(db);

	/* No call of kring_eventfd_rung() is under way when it returns. */
	if (e->queue)
		remove_wait_queue(e->queue, &e->wait);
	kring_registry_del_doorbell(db);
	kring_eventfd_put(e);
	kfree(e);
}
