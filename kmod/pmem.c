// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Region source: a virtio-pmem device whose memory begins with a header that we know.
 *
 * Its queue, a way to ask for a flush, is of no use to us: the host maps the same memory.
 */
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <uapi/linux/virtio_pmem.h>

#include "kring.h"

static void kring_pmem_source(struct virtio_device *vdev, struct kring_source *source)
{
	u64 start;

	*source = (struct kring_source){ .parent = &vdev->dev };
	virtio_cread_le(vdev, struct virtio_pmem_config, start, &start);
	virtio_cread_le(vdev, struct virtio_pmem_config, size, &source->size);
	source->start = start;
}

/**
 * kring_pmem_claimable() - whether a device that we do not drive holds a region
 * @vdev: device, its parent locked
 *
 * Return: 0 or -ENODEV.
 */
int kring_pmem_claimable(struct virtio_device *vdev)
{
	struct kring_source source;
	struct kring_layout layout;

	if (vdev->id.device != VIRTIO_ID_PMEM || !vdev->config->get)
		return -ENODEV;
	kring_pmem_source(vdev, &source);
	return kring_region_look(&source, &layout) ? -ENODEV : 0;
}

static int kring_pmem_probe(struct virtio_device *vdev)
{
	struct kring_instance *inst;
	struct kring_source source;

	kring_pmem_source(vdev, &source);
	inst = kring_instance_add(&source);
	if (IS_ERR(inst))
		return PTR_ERR(inst);
	vdev->priv = inst;
	return 0;
}

static void kring_pmem_remove(struct virtio_device *vdev)
{
	kring_instance_remove(vdev->priv);
	virtio_reset_device(vdev);
}

#ifdef CONFIG_PM_SLEEP
/* The region is not the device's to lose. What was missed meanwhile, all look for. */
static int kring_pmem_restore(struct virtio_device *vdev)
{
	kring_instance_wake(vdev->priv);
	kring_instance_kick(vdev->priv);
	return 0;
}
#endif

/* Matches nothing: kring_claim attaches it where it belongs. */
static const struct virtio_device_id kring_pmem_ids[] = {
	{ 0 },
};

struct virtio_driver kring_pmem_driver = {
	.driver.name = "kring_pmem",
	.driver.owner = THIS_MODULE,
	.driver.groups = kring_claim_groups,
	.id_table = kring_pmem_ids,
	.probe = kring_pmem_probe,
	.remove = kring_pmem_remove,
#ifdef CONFIG_PM_SLEEP
	.restore = kring_pmem_restore,
#endif
};
