// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring: a channel between host and guest that survives snapshot and restore.
 */
#define pr_fmt(fmt) "kring: " fmt

#include <linux/module.h>
#include <linux/virtio.h>

#include "kring.h"

unsigned int kring_rescue_ms = 100;

static int kring_rescue_set(const char *value, const struct kernel_param *param)
{
	int err = param_set_uint(value, param);

	if (!err)
		kring_registry_rescue_anew();
	return err;
}

static const struct kernel_param_ops kring_rescue_ops = {
	.set = kring_rescue_set,
	.get = param_get_uint,
};

module_param_cb(rescue_ms, &kring_rescue_ops, &kring_rescue_ms, 0644);
__MODULE_PARM_TYPE(rescue_ms, "uint");
MODULE_PARM_DESC(rescue_ms, "While somebody sleeps, look for lost kicks every so many ms (0: never)");

unsigned int kring_busy_poll_us;
module_param_named(busy_poll_us, kring_busy_poll_us, uint, 0644);
MODULE_PARM_DESC(busy_poll_us, "Before it sleeps, a reader looks for a frame for so many us (0)");

static int __init kring_init(void)
{
	int err;

	err = kring_chardev_init();
	if (err)
		return err;
	err = class_register(&kring_class);
	if (err)
		goto exit_chardev;
	err = kring_registry_init();
	if (err)
		goto unregister_class;
	err = kring_claim_init();
	if (err)
		goto exit_registry;
	err = register_virtio_driver(&kring_pmem_driver);
	if (err)
		goto exit_claim;
	err = register_virtio_driver(&kring_vport_driver);
	if (err)
		goto unregister_pmem;
	err = kring_claim_start();
	if (err)
		goto unregister_vport;
	kring_param_start();
	return 0;

unregister_vport:
	unregister_virtio_driver(&kring_vport_driver);
unregister_pmem:
	unregister_virtio_driver(&kring_pmem_driver);
exit_claim:
	kring_claim_exit();
exit_registry:
	kring_registry_exit();
unregister_class:
	kring_instance_wait_none();
	class_unregister(&kring_class);
exit_chardev:
	kring_chardev_exit();
	return err;
}

static void __exit kring_exit(void)
{
	kring_param_stop();
	kring_claim_stop();
	unregister_virtio_driver(&kring_vport_driver);
	unregister_virtio_driver(&kring_pmem_driver);
	kring_claim_exit();
	kring_registry_exit();
	kring_instance_wait_none();
	class_unregister(&kring_class);
	kring_chardev_exit();
}

module_init(kring_init);
module_exit(kring_exit);

MODULE_DESCRIPTION("Host-guest channel that survives snapshot and restore");
MODULE_VERSION("0.1");
MODULE_LICENSE("Dual MIT/GPL");
