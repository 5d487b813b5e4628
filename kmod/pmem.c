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

static void kring_pmem_config(struct virtio_device *vdev, u64 *start, u64 *size)
{
	virtio_cread_le(vdev, struct virtio_pmem_config, start, start);
	virtio_cread_le(vdev, struct virtio_pmem_config, size, size);
}

/**
 * kring_pmem_claimable() - whether a device that we do not drive holds a region
 * @vdev: device, its parent locked
 *
 * Return: 0 or -ENODEV.
 */
int kring_pmem_claimable(struct virtio_device *vdev)
{
	struct kring_layout layout;
	u64 start, size;

	if (vdev->id.device != VIRTIO_ID_PMEM || !vdev->config->get)
		return -ENODEV;
	kring_pmem_config(vdev, &start, &size);
	return kring_region_look(&vdev->dev, start, size, &layout) ? -ENODEV : 0;
}

static int kring_pmem_probe(struct virtio_device *vdev)
{
	struct kring_instance *inst;
	u64 start, size;

	kring_pmem_config(vdev, &start, &size);
	inst = kring_instance_add(&vdev->dev, start, size);
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
};
