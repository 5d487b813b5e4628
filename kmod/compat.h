/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What differs between kernel versions, and nowhere else. The rest of the module is
 * written for the newest one.
 */
#ifndef KRING_COMPAT_H
#define KRING_COMPAT_H

#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/version.h>
#include <linux/virtio_config.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)

/* 6.11 replaced the parallel arrays of names and callbacks by one array of these. */
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
	bool ctx;
};

static inline int kring_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
				 struct virtqueue *vqs[], struct virtqueue_info info[])
{
	vq_callback_t **callbacks;
	const char **names;
	unsigned int i;
	int err = -ENOMEM;

	callbacks = kcalloc(nvqs, sizeof(*callbacks), GFP_KERNEL);
	names = kcalloc(nvqs, sizeof(*names), GFP_KERNEL);
	if (!callbacks || !names)
		goto free_arrays;

	for (i = 0; i < nvqs; i++) {
		callbacks[i] = info[i].callback;
		names[i] = info[i].name;
	}
	err = virtio_find_vqs(vdev, nvqs, vqs, callbacks, names, NULL);

free_arrays:
	kfree(names);
	kfree(callbacks);
	return err;
}

#else

static inline int kring_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
				 struct virtqueue *vqs[], struct virtqueue_info info[])
{
	return virtio_find_vqs(vdev, nvqs, vqs, info, NULL);
}

#endif

/* 6.3 wants nobody to write a mapping's flags but through these. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void kring_vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set,
				      vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#else
#define kring_vm_flags_mod	vm_flags_mod
#endif

/* For kring's other modules; 6.13 made a string of the namespace. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define EXPORT_SYMBOL_KRING(symbol)	EXPORT_SYMBOL_NS_GPL(symbol, KRING)
#define KRING_IMPORT()		MODULE_IMPORT_NS(KRING)
#else
#define EXPORT_SYMBOL_KRING(symbol)	EXPORT_SYMBOL_NS_GPL(symbol, "KRING")
#define KRING_IMPORT()		MODULE_IMPORT_NS("KRING")
#endif

/* 6.17 gave it this name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define system_percpu_wq	system_wq
#endif

/* 6.8 took the count away, which nobody needed to be other than 1. */
static inline void kring_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

#endif /* KRING_COMPAT_H */
