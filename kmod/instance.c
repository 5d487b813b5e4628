// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Instances: from a region to a /dev/kring, and back.
 */
#include <linux/idr.h>
#include <linux/slab.h>

#include "compat.h"
#include "kring.h"
#include "trace.h"

static DEFINE_IDA(kring_ids);
static DECLARE_WAIT_QUEUE_HEAD(kring_ids_wait);

static struct kring_instance *to_instance(struct device *dev)
{
	return container_of(dev, struct kring_instance, dev);
}

static void kring_instance_free(struct device *dev)
{
	struct kring_instance *inst = to_instance(dev);
	int minor = inst->minor;

	kfree(inst);
	ida_free(&kring_ids, minor);
	wake_up(&kring_ids_wait);
}

/* Our code must stay until the last instance is freed, which a reference may delay. */
void kring_instance_wait_none(void)
{
	wait_event(kring_ids_wait, ida_is_empty(&kring_ids));
}

struct class kring_class = {
	.name = "kring",
	.dev_groups = kring_groups,
	.dev_release = kring_instance_free,
};

/* Wake everybody who sleeps on @inst, to look again. In any context. */
void kring_instance_wake(struct kring_instance *inst)
{
	kring_direction_wake(&inst->in);
	kring_direction_wake(&inst->out);
}

/* Kick the peer, if there is a doorbell. In any context. */
void kring_instance_kick(struct kring_instance *inst)
{
	struct kring_doorbell *db;

	rcu_read_lock();
	db = rcu_dereference(inst->doorbell);
	if (db) {
		trace_kring_kick_sent(inst);
		atomic64_inc(&inst->kicks_sent);
		db->ops->kick(db);
	}
	rcu_read_unlock();
}

/* A cursor was published: kick the peer if it waits for that. */
void kring_instance_publish(struct kring_instance *inst, bool kick)
{
	if (kick) {
		kring_instance_kick(inst);
		return;
	}
	trace_kring_kick_suppressed(inst);
	atomic64_inc(&inst->kicks_suppressed);
}

/*
 * The slow timer: while somebody sleeps, look at the cursors, as a kick may be lost in a
 * snapshot, in a full socket, in a broken VMM.
 */
static void kring_instance_rescue(struct work_struct *work)
{
	struct kring_instance *inst = container_of(to_delayed_work(work), struct kring_instance,
						   rescue);
	bool again;

	again = kring_in_rescue(inst);
	again |= kring_out_rescue(inst);
	if (again)
		kring_instance_rescue_later(inst);
}

/* Start the slow timer, if it does not run. */
void kring_instance_rescue_later(struct kring_instance *inst)
{
	unsigned int ms = READ_ONCE(kring_rescue_ms);

	if (ms)
		schedule_delayed_work(&inst->rescue, msecs_to_jiffies(ms));
}

/* The slow timer has another period, which also goes for those who sleep already. */
void kring_instance_rescue_anew(struct kring_instance *inst)
{
	unsigned int ms = READ_ONCE(kring_rescue_ms);

	if (ms)
		mod_delayed_work(system_percpu_wq, &inst->rescue, msecs_to_jiffies(ms));
	else
		cancel_delayed_work(&inst->rescue);
}

/* kring, kring1 ...; hosts' ends are kring_loop, kring_loop1 ... */
static int kring_instance_name(struct kring_instance *inst)
{
	const char *base = inst->host ? "kring_loop" : "kring";
	int id = inst->minor % KRING_INSTANCES_MAX;

	return id ? dev_set_name(&inst->dev, "%s%d", base, id) : dev_set_name(&inst->dev, base);
}

static struct kring_instance *kring_instance_alloc(const struct kring_source *source)
{
	int first = source->host ? KRING_INSTANCES_MAX : 0;
	struct kring_instance *inst;
	int err;

	inst = kzalloc(sizeof(*inst), GFP_KERNEL);
	if (!inst)
		return ERR_PTR(-ENOMEM);

	inst->host = source->host;
	inst->minor = ida_alloc_range(&kring_ids, first, first + KRING_INSTANCES_MAX - 1,
				      GFP_KERNEL);
	if (inst->minor < 0) {
		err = inst->minor;
		kfree(inst);
		return ERR_PTR(err);
	}

	mutex_init(&inst->files_lock);
	INIT_LIST_HEAD(&inst->files);
	INIT_LIST_HEAD(&inst->node);
	kring_direction_init(&inst->in, inst->host ? "g2h" : "h2g", EPOLLIN | EPOLLRDNORM);
	kring_direction_init(&inst->out, inst->host ? "h2g" : "g2h", EPOLLOUT | EPOLLWRNORM);
	INIT_DELAYED_WORK(&inst->rescue, kring_instance_rescue);

	/* From here on put_device() frees it. */
	device_initialize(&inst->dev);
	inst->dev.class = &kring_class;
	inst->dev.parent = source->parent;
	inst->dev.devt = kring_chardev_devt(inst->minor);
	cdev_init(&inst->cdev, &kring_fops);
	inst->cdev.owner = THIS_MODULE;

	err = kring_instance_name(inst);
	if (err) {
		put_device(&inst->dev);
		return ERR_PTR(err);
	}
	return inst;
}

/* No file, mapping, timer or attribute touches the region after this. */
static void kring_instance_shut(struct kring_instance *inst)
{
	kring_direction_remove(&inst->in);
	kring_direction_remove(&inst->out);
	kring_mmap_revoke(inst);
	/* Only who has a direction's lock, and a region behind it, starts the timer. */
	cancel_delayed_work_sync(&inst->rescue);
	cdev_device_del(&inst->cdev, &inst->dev);
}

/* The geometry of both rings, as this end sees them. */
void kring_instance_rings(struct kring_instance *inst, struct kring_ring *in,
			  struct kring_ring *out)
{
	const struct kring_region *r = &inst->region;

	if (inst->host)
		kring_layout_rings(&r->layout, r->base, out, in);
	else
		kring_layout_rings(&r->layout, r->base, in, out);
}

/**
 * kring_instance_add() - make one end of a region usable as /dev/kring*
 * @source: the region, and which end of it
 *
 * A guest's end is found by its doorbell under the region's name. To a host's end its doorbell
 * is given: kring_registry_give_doorbell().
 *
 * Return: the instance, for kring_instance_remove(), or an ERR_PTR() after telling why.
 */
struct kring_instance *kring_instance_add(const struct kring_source *source)
{
	struct device *parent = source->parent;
	struct kring_instance *inst;
	struct kring_layout *l;
	int err;

	inst = kring_instance_alloc(source);
	if (IS_ERR(inst))
		return inst;

	err = kring_region_map(source, &inst->region);
	if (err)
		goto put_instance;
	kring_in_attach(inst);
	kring_out_attach(inst);

	err = cdev_device_add(&inst->cdev, &inst->dev);
	if (err)
		goto unmap_region;

	l = &inst->region.layout;
	err = kring_registry_add_instance(inst);
	if (err) {
		dev_err(parent, "kring: name %s: there is another region of that name\n", l->name);
		goto del_device;
	}
	dev_info(&inst->dev, "region %s on %s: h2g %u bytes, g2h %u bytes, generation %llu\n",
		 l->name, dev_name(parent), l->h2g.size, l->g2h.size,
		 kring_region_generation(&inst->region));
	return inst;

del_device:
	kring_instance_shut(inst);
unmap_region:
	kring_region_unmap(&inst->region);
put_instance:
	put_device(&inst->dev);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_KRING(kring_instance_add);

/**
 * kring_instance_remove() - take an instance away, open files or not
 * @inst: instance
 *
 * Files that are open get ENODEV and EPOLLHUP from now on, and keep what is left of @inst.
 */
void kring_instance_remove(struct kring_instance *inst)
{
	dev_info(&inst->dev, "region %s is gone\n", inst->region.layout.name);
	kring_registry_del_instance(inst);
	kring_instance_shut(inst);
	kring_region_unmap(&inst->region);
	put_device(&inst->dev);
}
EXPORT_SYMBOL_KRING(kring_instance_remove);
