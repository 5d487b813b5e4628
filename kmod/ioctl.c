// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/kring: its ioctls, as <linux/kring.h> has them.
 */
#include <linux/fs.h>
#include <linux/uaccess.h>

#include "kring.h"

static int kring_ioctl_info(struct kring_file *f, struct kring_info __user *to)
{
	struct kring_instance *inst = f->inst;
	struct kring_info info = {};
	struct kring_ring in, out;
	int err;

	err = kring_direction_lock(&inst->in, false);
	if (err)
		return err;
	info.generation = kring_region_generation(&inst->region);
	kring_region_uuid(&inst->region, info.uuid);
	kring_direction_unlock(&inst->in);

	kring_instance_rings(inst, &in, &out);
	info.h2g_size = inst->region.layout.h2g.size;
	info.g2h_size = inst->region.layout.g2h.size;
	info.h2g_frame_max = inst->host ? out.send_max : in.max;
	info.g2h_frame_max = inst->host ? in.max : out.send_max;
	if (READ_ONCE(inst->in.poisoned))
		info.flags |= inst->host ? KRING_INFO_G2H_POISONED : KRING_INFO_H2G_POISONED;
	if (READ_ONCE(inst->out.poisoned))
		info.flags |= inst->host ? KRING_INFO_H2G_POISONED : KRING_INFO_G2H_POISONED;
	if (inst->host)
		info.flags |= KRING_INFO_HOST;
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
	int in = 0, out = 0;

	if (filp->f_mode & FMODE_READ)
		in = kring_in_reset(f->inst);
	if (filp->f_mode & FMODE_WRITE)
		out = kring_out_reset(f->inst);

	/* Whoever attaches kicks once and looks once. */
	kring_instance_wake(f->inst);
	kring_instance_kick(f->inst);
	return in ? in : out;
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
	db = kring_eventfd_add(f->inst, fds.in, fds.out);
	if (IS_ERR(db))
		return PTR_ERR(db);
	if (cmpxchg(&f->eventfds, NULL, db)) {
		kring_eventfd_remove(db);
		return -EBUSY;
	}
	return 0;
}

long kring_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct kring_file *f = filp->private_data;

	switch (cmd) {
	case KRING_IOC_INFO:
		return kring_ioctl_info(f, (struct kring_info __user *)arg);
	case KRING_IOC_KICK:
		if (READ_ONCE(f->inst->in.gone))
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
