// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Registry: which instances and doorbells there are. A region named NAME and a doorbell
 * of that name belong together, whichever appears first; but for hosts' ends, and doorbells
 * that are given to one instance.
 */
#include <linux/random.h>
#include <linux/rculist.h>

#include "compat.h"
#include "kring.h"
#include "trace.h"

static DEFINE_MUTEX(kring_registry_lock);
static LIST_HEAD(kring_instances);
static LIST_HEAD(kring_doorbells);

static void kring_pair(struct kring_instance *inst, struct kring_doorbell *db)
{
	rcu_assign_pointer(inst->doorbell, db);
	rcu_assign_pointer(db->instance, inst);
	dev_info(&inst->dev, "doorbell: %s kring.%s\n", db->ops->kind,
		 inst->region.layout.name);

	/* Kicks before now went nowhere: kick once, look once. */
	kring_instance_kick(inst);
	kring_instance_wake(inst);
}

static void kring_unpair(struct kring_instance *inst, struct kring_doorbell *db)
{
	RCU_INIT_POINTER(inst->doorbell, NULL);
	RCU_INIT_POINTER(db->instance, NULL);
	/* No kick is on its way through either when we return. */
	synchronize_rcu();
}

static struct kring_instance *kring_find_instance(const char *name)
{
	struct kring_instance *inst;

	list_for_each_entry(inst, &kring_instances, node)
		if (!inst->host && !strcmp(inst->region.layout.name, name))
			return inst;
	return NULL;
}

/* A doorbell of that name that belongs to nobody yet. */
static struct kring_doorbell *kring_find_doorbell(const char *name)
{
	struct kring_doorbell *db;

	list_for_each_entry(db, &kring_doorbells, node)
		if (!strcmp(db->name, name) && !rcu_access_pointer(db->instance))
			return db;
	return NULL;
}

/**
 * kring_registry_add_instance() - make an instance known, and pair it if it is a guest's end
 * @inst: instance
 *
 * Return: 0 or -EEXIST: there is a region of that name.
 */
int kring_registry_add_instance(struct kring_instance *inst)
{
	struct kring_doorbell *db;
	int err = 0;

	mutex_lock(&kring_registry_lock);
	if (inst->host) {
		list_add_tail(&inst->node, &kring_instances);
		goto unlock;
	}
	if (kring_find_instance(inst->region.layout.name)) {
		err = -EEXIST;
		goto unlock;
	}
	list_add_tail(&inst->node, &kring_instances);
	db = kring_find_doorbell(inst->region.layout.name);
	if (db)
		kring_pair(inst, db);
unlock:
	mutex_unlock(&kring_registry_lock);
	return err;
}

/* Nobody reaches @inst through the registry or a doorbell after this. */
void kring_registry_del_instance(struct kring_instance *inst)
{
	struct kring_doorbell *db;

	mutex_lock(&kring_registry_lock);
	list_del_init(&inst->node);
	db = rcu_dereference_protected(inst->doorbell, lockdep_is_held(&kring_registry_lock));
	if (db)
		kring_unpair(inst, db);
	mutex_unlock(&kring_registry_lock);
}

/* Make a doorbell known by its name, and pair it. */
void kring_registry_add_doorbell(struct kring_doorbell *db)
{
	struct kring_instance *inst;

	mutex_lock(&kring_registry_lock);
	list_add_tail(&db->node, &kring_doorbells);
	inst = kring_find_instance(db->name);
	if (inst && !rcu_access_pointer(inst->doorbell))
		kring_pair(inst, db);
	mutex_unlock(&kring_registry_lock);
}

/**
 * kring_registry_give_doorbell() - pair a doorbell with one instance, whatever their names
 * @db: doorbell
 * @inst: instance
 *
 * Return: 0, -EBUSY: @inst has a doorbell, or -ENODEV: it is removed.
 */
int kring_registry_give_doorbell(struct kring_doorbell *db, struct kring_instance *inst)
{
	int err = 0;

	INIT_LIST_HEAD(&db->node);
	mutex_lock(&kring_registry_lock);
	if (list_empty(&inst->node))
		err = -ENODEV;
	else if (rcu_access_pointer(inst->doorbell))
		err = -EBUSY;
	else
		kring_pair(inst, db);
	mutex_unlock(&kring_registry_lock);
	return err;
}
EXPORT_SYMBOL_KRING(kring_registry_give_doorbell);

/* @db is neither kicked nor waited for after this. Another of its name takes its place. */
void kring_registry_del_doorbell(struct kring_doorbell *db)
{
	struct kring_doorbell *other;
	struct kring_instance *inst;

	mutex_lock(&kring_registry_lock);
	list_del(&db->node);
	inst = rcu_dereference_protected(db->instance, lockdep_is_held(&kring_registry_lock));
	if (inst) {
		kring_unpair(inst, db);
		other = inst->host ? NULL : kring_find_doorbell(inst->region.layout.name);
		if (other)
			kring_pair(inst, other);
		else
			dev_info(&inst->dev, "doorbell: none, the timer alone\n");
	}
	mutex_unlock(&kring_registry_lock);
}
EXPORT_SYMBOL_KRING(kring_registry_del_doorbell);

/* @db was rung: wake whoever sleeps on its instance. In any context. */
void kring_registry_ring(struct kring_doorbell *db)
{
	struct kring_instance *inst;

	rcu_read_lock();
	inst = rcu_dereference(db->instance);
	if (inst) {
		trace_kring_kick_received(inst);
		atomic64_inc(&inst->kicks_received);
		kring_instance_wake(inst);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_KRING(kring_registry_ring);

/* The slow timer has another period. */
void kring_registry_rescue_anew(void)
{
	struct kring_instance *inst;

	mutex_lock(&kring_registry_lock);
	list_for_each_entry(inst, &kring_instances, node)
		kring_instance_rescue_anew(inst);
	mutex_unlock(&kring_registry_lock);
}

/*
 * This VM is now a restored copy of a snapshot. Kicks that were in flight are lost, in both
 * directions, and what we announced may have been forgotten: all look again.
 */
static int kring_vmfork(struct notifier_block *nb, unsigned long action, void *data)
{
	struct kring_instance *inst;

	mutex_lock(&kring_registry_lock);
	list_for_each_entry(inst, &kring_instances, node) {
		kring_instance_wake(inst);
		kring_instance_kick(inst);
	}
	mutex_unlock(&kring_registry_lock);
	return NOTIFY_DONE;
}

static struct notifier_block kring_vmfork_notifier = {
	.notifier_call = kring_vmfork,
};

int kring_registry_init(void)
{
	return register_random_vmfork_notifier(&kring_vmfork_notifier);
}

void kring_registry_exit(void)
{
	unregister_random_vmfork_notifier(&kring_vmfork_notifier);
}
