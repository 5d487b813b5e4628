// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/kring: what <linux/kring.h> says of it.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kring.h"

static dev_t kring_devt;

/**
 * struct kring_file - one open file
 * @inst: instance; its cdev keeps it for as long as the file is open
 * @generation: that this file has seen
 * @eventfds: the doorbell that it has brought, or NULL
 */
struct kring_file {
	struct kring_instance *inst;
	u64 generation;
	struct kring_doorbell *eventfds;
};

/* The generation, unless the device is gone: then @seen. */
static u64 kring_generation_now(struct kring_instance *inst, u64 seen)
{
	if (kring_direction_lock(&inst->h2g, false))
		return seen;
	seen = kring_region_generation(&inst->region);
	kring_direction_unlock(&inst->h2g);
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

	err = -EBUSY;
	if ((filp->f_mode & FMODE_READ) && !kring_direction_claim(&inst->h2g))
		goto free_file;
	if ((filp->f_mode & FMODE_WRITE) && !kring_direction_claim(&inst->g2h))
		goto unclaim_h2g;

	err = kring_direction_lock(&inst->h2g, false);
	if (err)
		goto unclaim_g2h;
	f->generation = kring_region_generation(&inst->region);
	kring_direction_unlock(&inst->h2g);

	filp->private_data = f;
	/* Read and write at once, no position, and never a worker thread for io_uring. */
	filp->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, filp);

unclaim_g2h:
	if (filp->f_mode & FMODE_WRITE)
		kring_g2h_close(inst);
unclaim_h2g:
	if (filp->f_mode & FMODE_READ)
		kring_h2g_close(inst);
free_file:
	kfree(f);
	return err;
}

static int kring_release_file(struct inode *inode, struct file *filp)
{
	struct kring_file *f = filp->private_data;

	if (f->eventfds)
		kring_eventfd_remove(f->eventfds);
	if (filp->f_mode & FMODE_READ)
		kring_h2g_close(f->inst);
	if (filp->f_mode & FMODE_WRITE)
		kring_g2h_close(f->inst);
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
	return kring_transfer(iocb, to, &f->inst->h2g, kring_h2g_recv);
}

static ssize_t kring_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct kring_file *f = iocb->ki_filp->private_data;

	return kring_transfer(iocb, from, &f->inst->g2h, kring_g2h_send);
}

static __poll_t kring_poll(struct file *filp, poll_table *pt)
{
	struct kring_file *f = filp->private_data;
	struct kring_instance *inst = f->inst;
	__poll_t mask = 0;
	u64 seen;

	if (filp->f_mode & FMODE_READ) {
		poll_wait(filp, &inst->h2g.wait, pt);
		mask |= kring_h2g_poll(inst);
	}
	if (filp->f_mode & FMODE_WRITE) {
		poll_wait(filp, &inst->g2h.wait, pt);
		mask |= kring_g2h_poll(inst);
	}
	seen = READ_ONCE(f->generation);
	if (kring_generation_now(inst, seen) != seen)
		mask |= EPOLLPRI;
	return mask;
}

static int kring_ioctl_info(struct kring_file *f, struct kring_info __user *to)
{
	struct kring_instance *inst = f->inst;
	struct kring_info info = {};
	int err;

	err = kring_direction_lock(&inst->h2g, false);
	if (err)
		return err;
	info.generation = kring_region_generation(&inst->region);
	kring_region_uuid(&inst->region, info.uuid);
	kring_direction_unlock(&inst->h2g);

	info.h2g_size = inst->consumer.ring.size;
	info.g2h_size = inst->producer.ring.size;
	info.h2g_frame_max = inst->consumer.ring.max;
	info.g2h_frame_max = inst->producer.ring.send_max;
	if (READ_ONCE(inst->h2g.poisoned))
		info.flags |= KRING_INFO_H2G_POISONED;
	if (READ_ONCE(inst->g2h.poisoned))
		info.flags |= KRING_INFO_G2H_POISONED;
	if (rcu_access_pointer(inst->doorbell))
		info.flags |= KRING_INFO_DOORBELL;
	memcpy(info.name, inst->region.layout.name, sizeof(info.name));

	if (copy_to_user(to, &info, sizeof(info)))
		return -EFAULT;
	WRITE_ONCE(f->generation, info.generation);
	return 0;
}

static int kring_ioctl_reset(struct file *filp)
{
	struct kring_file *f = filp->private_data;
	int h2g = 0, g2h = 0;

	if (filp->f_mode & FMODE_READ)
		h2g = kring_h2g_reset(f->inst);
	if (filp->f_mode & FMODE_WRITE)
		g2h = kring_g2h_reset(f->inst);

	/* Whoever attaches kicks once and looks once. */
	kring_instance_wake(f->inst);
	kring_instance_kick(f->inst);
	return h2g ? h2g : g2h;
}

static int kring_ioctl_eventfds(struct kring_file *f, const struct kring_eventfds __user *from)
{
	struct kring_eventfds fds;
	struct kring_doorbell *db;

	if (copy_from_user(&fds, from, sizeof(fds)))
		return -EFAULT;
	if (fds.in == -1 && fds.out == -1) {
		db = xchg(&f->eventfds, NULL);
		if (!db)
			return -ENOENT;
		kring_eventfd_remove(db);
		return 0;
	}
	if (READ_ONCE(f->inst->h2g.gone))
		return -ENODEV;
	db = kring_eventfd_add(f->inst, fds.in, fds.out);
	if (IS_ERR(db))
		return PTR_ERR(db);
	if (cmpxchg(&f->eventfds, NULL, db)) {
		kring_eventfd_remove(db);
		return -EBUSY;
	}
	return 0;
}

static long kring_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct kring_file *f = filp->private_data;

	switch (cmd) {
	case KRING_IOC_INFO:
		return kring_ioctl_info(f, (struct kring_info __user *)arg);
	case KRING_IOC_KICK:
		if (READ_ONCE(f->inst->h2g.gone))
			return -ENODEV;
		kring_instance_kick(f->inst);
		return 0;
	case KRING_IOC_RESET:
		return kring_ioctl_reset(filp);
	case KRING_IOC_EVENTFDS:
		return kring_ioctl_eventfds(f, (const struct kring_eventfds __user *)arg);
	default:
		return -ENOTTY;
	}
}

const struct file_operations kring_fops = {
	.owner = THIS_MODULE,
	.open = kring_open,
	.release = kring_release_file,
	.read_iter = kring_read_iter,
	.write_iter = kring_write_iter,
	.poll = kring_poll,
	.unlocked_ioctl = kring_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

dev_t kring_chardev_devt(int id)
{
	return MKDEV(MAJOR(kring_devt), id);
}

int kring_chardev_init(void)
{
	return alloc_chrdev_region(&kring_devt, 0, KRING_INSTANCES_MAX, "kring");
}

void kring_chardev_exit(void)
{
	unregister_chrdev_region(kring_devt, KRING_INSTANCES_MAX);
}
