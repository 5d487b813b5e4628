// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring_loop: regions in ordinary memory, with both ends as devices: /dev/kring* is the guest's,
 * /dev/kring_loop* the host's. For tests and fuzzers, which need no VMM then.
 */
#define pr_fmt(fmt) "kring_loop: " fmt

#include <linux/log2.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "kring.h"

static unsigned int kring_loop_count = 1;
module_param_named(count, kring_loop_count, uint, 0444);
MODULE_PARM_DESC(count, "How many regions (1)");

static unsigned int kring_loop_size = SZ_256K;
module_param_named(size, kring_loop_size, uint, 0444);
MODULE_PARM_DESC(size, "Bytes of each of a region's rings, a power of two (262144)");

/* The ends of a loop. */
enum {
	KRING_LOOP_GUEST,
	KRING_LOOP_HOST,
	KRING_LOOP_ENDS,
};

struct kring_loop_end;

/**
 * struct kring_loop - one region
 * @base: the region
 * @size: its bytes
 * @ends: both
 */
struct kring_loop {
	void *base;
	u64 size;
	struct kring_loop_end {
		struct kring_doorbell doorbell;
		struct kring_instance *inst;
		struct kring_loop_end *peer;
	} ends[KRING_LOOP_ENDS];
};

static struct platform_device **kring_loop_devices;

/* Straight to the other end: there is nobody in between who could lose it. */
static void kring_loop_kick(struct kring_doorbell *db)
{
	struct kring_loop_end *end = container_of(db, struct kring_loop_end, doorbell);

	kring_registry_ring(&end->peer->doorbell);
}

static const struct kring_doorbell_ops kring_loop_ops = {
	.kind = "loop",
	.kick = kring_loop_kick,
};

/* What a host does before the guest looks. */
static int kring_loop_format(struct kring_loop *loop, int id)
{
	struct kring_header *h;

	loop->size = kring_native_size(PAGE_SIZE, kring_loop_size);
	loop->base = vmalloc_user(loop->size);
	if (!loop->base)
		return -ENOMEM;
	h = loop->base;
	kring_native_make(h, PAGE_SIZE, loop->size, kring_loop_size);
	snprintf((char *)h->name, sizeof(h->name), "loop%d", id);
	generate_random_uuid(h->uuid);
	/* Pairs with the acquire in kring_region_copy_header(). */
	kring_store_release(&h->state, cpu_to_le32(KRING_STATE_READY));
	return 0;
}

static int kring_loop_add_end(struct kring_loop *loop, struct device *dev, int which)
{
	struct kring_source source = {
		.parent = dev,
		.base = loop->base,
		.size = loop->size,
		.host = which == KRING_LOOP_HOST,
	};
	struct kring_loop_end *end = &loop->ends[which];
	struct kring_instance *inst;
	int err;

	inst = kring_instance_add(&source);
	if (IS_ERR(inst))
		return PTR_ERR(inst);
	end->doorbell.ops = &kring_loop_ops;
	end->peer = &loop->ends[!which];
	err = kring_registry_give_doorbell(&end->doorbell, inst);
	if (err) {
		kring_instance_remove(inst);
		return err;
	}
	end->inst = inst;
	return 0;
}

/* The doorbell last: until an instance is removed it may kick. */
static void kring_loop_del_end(struct kring_loop_end *end)
{
	if (!end->inst)
		return;
	kring_registry_del_doorbell(&end->doorbell);
	kring_instance_remove(end->inst);
}

static void kring_loop_free(void *data)
{
	struct kring_loop *loop = data;

	kring_loop_del_end(&loop->ends[KRING_LOOP_HOST]);
	kring_loop_del_end(&loop->ends[KRING_LOOP_GUEST]);
	vfree(loop->base);
	kfree(loop);
}

/* With an action instead of a remove callback, whose type changed in 6.11. */
static int kring_loop_probe(struct platform_device *pdev)
{
	struct kring_loop *loop;
	int err;

	loop = kzalloc(sizeof(*loop), GFP_KERNEL);
	if (!loop)
		return -ENOMEM;
	err = kring_loop_format(loop, pdev->id);
	if (err)
		goto free_loop;
	err = kring_loop_add_end(loop, &pdev->dev, KRING_LOOP_GUEST);
	if (err)
		goto free_loop;
	err = kring_loop_add_end(loop, &pdev->dev, KRING_LOOP_HOST);
	if (err)
		goto free_loop;
	return devm_add_action_or_reset(&pdev->dev, kring_loop_free, loop);

free_loop:
	kring_loop_free(loop);
	return err;
}

static struct platform_driver kring_loop_driver = {
	.driver.name = "kring_loop",
	.probe = kring_loop_probe,
};

static void kring_loop_del_devices(void)
{
	unsigned int i;

	for (i = 0; i < kring_loop_count; i++)
		platform_device_unregister(kring_loop_devices[i]);
	kfree(kring_loop_devices);
}

static int kring_loop_add_devices(void)
{
	struct platform_device *pdev;
	unsigned int i;

	kring_loop_devices = kcalloc(kring_loop_count, sizeof(*kring_loop_devices), GFP_KERNEL);
	if (!kring_loop_devices)
		return -ENOMEM;
	for (i = 0; i < kring_loop_count; i++) {
		pdev = platform_device_register_simple("kring_loop", i, NULL, 0);
		if (IS_ERR(pdev)) {
			kring_loop_del_devices();
			return PTR_ERR(pdev);
		}
		kring_loop_devices[i] = pdev;
	}
	return 0;
}

static int __init kring_loop_init(void)
{
	int err;

	if (!kring_loop_count || kring_loop_count > KRING_INSTANCES_MAX) {
		pr_err("count=%u: not from 1 to %u\n", kring_loop_count, KRING_INSTANCES_MAX);
		return -EINVAL;
	}
	if (!is_power_of_2(kring_loop_size) || kring_loop_size < PAGE_SIZE ||
	    kring_loop_size > KRING_SIZE_MAX) {
		pr_err("size=%u: not a power of two from %lu to %lu\n", kring_loop_size, PAGE_SIZE,
		       (unsigned long)KRING_SIZE_MAX);
		return -EINVAL;
	}
	err = platform_driver_register(&kring_loop_driver);
	if (err)
		return err;
	err = kring_loop_add_devices();
	if (err)
		platform_driver_unregister(&kring_loop_driver);
	return err;
}

static void __exit kring_loop_exit(void)
{
	kring_loop_del_devices();
	platform_driver_unregister(&kring_loop_driver);
}

module_init(kring_loop_init);
module_exit(kring_loop_exit);

KRING_IMPORT();
MODULE_DESCRIPTION("Regions of kring with both ends in one kernel, for tests");
MODULE_VERSION("0.1");
MODULE_LICENSE("Dual MIT/GPL");
