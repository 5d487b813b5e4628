// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/kring: what <linux/kring.h> says of it.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kring.h"

static dev_t kring_devt;

/* The generation, unless the device is gone: then @seen. */
static u64 kring_generation_now(struct kring_instance *inst, u64 seen)
{
	if (kring_direction_lock(&inst->in, false))
		return seen;
	seen = kring_region_generation(&inst->region);
	kring_direction_unlock(&inst->in);
	return seen;
}

static int kring_open(struct inode *inode, struct file *filp)
{
	struct kring_instance *inst = container_of(inode->i_cdev, struct kring_instance, cdev);
	struct kring_file *f;
	int err;

	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->inst = inst;
	f->filp = filp;

	err = -EBUSY;
	if ((filp->f_mode & FMODE_READ) && !kring_direction_claim(&inst->in))
		goto free_file;
	if ((filp->f_mode & FMODE_WRITE) && !kring_direction_claim(&inst->out))
		goto unclaim_in;

	err = kring_direction_lock(&inst->in, false);
	if (err)
		goto unclaim_out;
	f->generation = kring_region_generation(&inst->region);
	kring_direction_unlock(&inst->in);

	kring_mmap_open(f);
	filp->private_data = f;
	/* Read and write at once, no position, and never a worker thread for io_uring. */
	filp->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, filp);

unclaim_out:
	if (filp->f_mode & FMODE_WRITE)
		kring_out_close(inst);
unclaim_in:
	if (filp->f_mode & FMODE_READ)
		kring_in_close(inst);
free_file:
	kfree(f);
	return err;
}

static int kring_release_file(struct inode *inode, struct file *filp)
{
	struct kring_file *f = filp->private_data;

	kring_mmap_release(f);
	if (f->eventfds)
		kring_eventfd_remove(f->eventfds);
	if (filp->f_mode & FMODE_READ)
		kring_in_close(f->inst);
	if (filp->f_mode & FMODE_WRITE)
		kring_out_close(f->inst);
	kfree(f);
	return 0;
}

/* One frame, now or never. */
typedef ssize_t kring_transfer_fn(struct kring_instance *inst, struct iov_iter *iter, bool nowait);

/* Wait one's turn, then for the frame to go through. */
static ssize_t kring_transfer(struct kiocb *iocb, struct iov_iter *iter,
			      struct kring_direction *d, kring_transfer_fn *transfer)
{
	struct kring_file *f = iocb->ki_filp->private_data;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	ssize_t ret;

	if (iocb->ki_flags & IOCB_NOWAIT || iocb->ki_filp->f_flags & O_NONBLOCK) {
		if (!mutex_trylock(&d->turn))
			return -EAGAIN;
		ret = transfer(f->inst, iter, iocb->ki_flags & IOCB_NOWAIT);
		goto pass_turn;
	}

	if (mutex_lock_interruptible(&d->turn))
		return -ERESTARTSYS;
	if (d == &f->inst->in)
		kring_in_spin(f->inst);
	ret = transfer(f->inst, iter, false);
	if (ret != -EAGAIN)
		goto pass_turn;

	add_wait_queue(&d->wait, &wait);
	for (;;) {
		ret = transfer(f->inst, iter, false);
		if (ret != -EAGAIN)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		wait_woken(&wait, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT);
	}
	remove_wait_queue(&d->wait, &wait);
pass_turn:
	kring_direction_pass_turn(d);
	return ret;
}

static ssize_t kring_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct kring_file *f = iocb->ki_filp->private_data;

	/* No frame would fit, now or ever. */
	if (!iov_iter_count(to))
		return 0;
	return kring_transfer(iocb, to, &f->inst->in, kring_in_recv);
}

static ssize_t kring_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct kring_file *f = iocb->ki_filp->private_data;

	return kring_transfer(iocb, from, &f->inst->out, kring_out_send);
}

static __poll_t kring_poll(struct file *filp, poll_table *pt)
{
	struct kring_file *f = filp->private_data;
	struct kring_instance *inst = f->inst;
	__poll_t mask = 0;
	u64 seen;

	if (filp->f_mode & FMODE_READ) {
		poll_wait(filp, &inst->in.wait, pt);
		mask |= kring_in_poll(inst);
	}
	if (filp->f_mode & FMODE_WRITE) {
		poll_wait(filp, &inst->out.wait, pt);
		mask |= kring_out_poll(inst);
	}
	seen = READ_ONCE(f->generation);
	if (kring_generation_now(inst, seen) != seen)
		mask |= EPOLLPRI;
	return mask;
}

const struct file_operations kring_fops = {
	.owner = THIS_MODULE,
	.open = kring_open,
	.release = kring_release_file,
	.read_iter = kring_read_iter,
	.write_iter = kring_write_iter,
	.poll = kring_poll,
	.mmap = kring_mmap,
	.unlocked_ioctl = kring_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

dev_t kring_chardev_devt(int minor)
{
	return MKDEV(MAJOR(kring_devt), minor);
}

int kring_chardev_init(void)
{
	return alloc_chrdev_region(&kring_devt, 0, 2 * KRING_INSTANCES_MAX, "kring");
}

void kring_chardev_exit(void)
{
	unregister_chrdev_region(kring_devt, 2 * KRING_INSTANCES_MAX);
}
