// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Claiming: who drives which virtio device.
 *
 * A probe that answers -ENODEV leaves the virtio status FAILED on the device, and strict
 * VMMs then refuse it to everybody. So our drivers match nothing by themselves. We look at
 * each device without driving it, and attach a driver to those that are ours, after
 * taking them from virtio_pmem or virtio_console where these were faster.
 *
 * Whether a console is ours only its ports' names can tell, and only its driver hears
 * these: one that nobody drives we attach to and ask, one that virtio_console drives is
 * left alone until udev, which sees the names, asks for it through the driver's attribute
 * "claim".
 */
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/workqueue.h>

#include "kring.h"

static struct workqueue_struct *kring_claim_wq;

/**
 * struct kring_candidate - a device that waits for us to look at it
 * @work: the look
 * @vdev: device, referenced
 */
struct kring_candidate {
	struct work_struct work;
	struct virtio_device *vdev;
};

/*
 * A transport unmaps a device's registers while its parent is locked. So as long as we
 * hold that lock, a device that is registered can be talked to.
 */
static bool kring_claim_lock(struct virtio_device *vdev)
{
	device_lock(vdev->dev.parent);
	if (device_is_registered(&vdev->dev))
		return true;
	device_unlock(vdev->dev.parent);
	return false;
}

static void kring_claim_unlock(struct virtio_device *vdev)
{
	device_unlock(vdev->dev.parent);
}

/* What the virtio core does before a driver's turn: nothing failed, nothing negotiated. */
static void kring_claim_heal(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
	virtio_add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

/* Let whoever else wants @vdev have it. */
static void kring_claim_offer(struct virtio_device *vdev)
{
	int ret = device_attach(&vdev->dev);

	if (ret < 0)
		dev_warn(&vdev->dev, "kring: no other driver took it (%d)\n", ret);
}

/* Attach @drv in place of whatever drives @vdev now. */
static int kring_claim_attach(struct virtio_device *vdev, struct virtio_driver *drv)
{
	struct device *dev = &vdev->dev;
	int tries = 50;
	int err;

	for (;;) {
		if (dev->driver == &drv->driver)
			return 0;
		if (dev->driver) {
			dev_info(dev, "kring: taken from %s\n", dev->driver->name);
			device_release_driver(dev);
		}
		err = device_driver_attach(&drv->driver, dev);
		/* Not quite added yet, or somebody else was faster. */
		if ((err != -EAGAIN && err != -EBUSY) || !--tries)
			break;
		msleep(20);
	}
	if (err && !dev->driver) {
		kring_claim_heal(vdev);
		kring_claim_offer(vdev);
	}
	return err;
}

static void kring_claim_look(struct virtio_device *vdev)
{
	struct virtio_driver *drv = NULL;

	if (!kring_pmem_claimable(vdev))
		drv = &kring_pmem_driver;
	else if (!vdev->dev.driver && !kring_vport_claimable(vdev))
		drv = &kring_vport_driver;
	if (drv)
		kring_claim_attach(vdev, drv);
}

static void kring_claim_work(struct work_struct *work)
{
	struct kring_candidate *c = container_of(work, struct kring_candidate, work);

	if (kring_claim_lock(c->vdev)) {
		kring_claim_look(c->vdev);
		kring_claim_unlock(c->vdev);
	}
	put_device(&c->vdev->dev);
	kfree(c);
}

static void kring_return_work(struct work_struct *work)
{
	struct kring_candidate *c = container_of(work, struct kring_candidate, work);
	struct device *dev = &c->vdev->dev;

	if (kring_claim_lock(c->vdev)) {
		if (dev->driver == &kring_vport_driver.driver) {
			device_release_driver(dev);
			kring_claim_offer(c->vdev);
		}
		kring_claim_unlock(c->vdev);
	}
	put_device(dev);
	kfree(c);
}

static int kring_claim_queue(struct virtio_device *vdev, work_func_t work)
{
	struct kring_candidate *c;

	c = kmalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	INIT_WORK(&c->work, work);
	c->vdev = vdev;
	get_device(&vdev->dev);
	queue_work(kring_claim_wq, &c->work);
	return 0;
}

/* @vdev, which our driver has, is not ours: give it back, from another thread. */
void kring_claim_return(struct virtio_device *vdev)
{
	if (kring_claim_queue(vdev, kring_return_work))
		dev_err(&vdev->dev, "kring: out of memory, not given back\n");
}

static int kring_claim_each(struct device *dev, void *data)
{
	return kring_claim_queue(dev_to_virtio(dev), kring_claim_work);
}

static int kring_claim_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action == BUS_NOTIFY_ADD_DEVICE)
		kring_claim_each(data, NULL);
	return NOTIFY_DONE;
}

static struct notifier_block kring_claim_notifier = {
	.notifier_call = kring_claim_notify,
};

/*
 * /sys/bus/virtio/drivers/kring_{pmem,vport}/claim: write a virtio device's name (virtio3)
 * for the driver to take it, from another driver or after an unbind. ENODEV: no such
 * device, or it is not ours; EBUSY: it has other ports too.
 */
static ssize_t claim_store(struct device_driver *driver, const char *buf, size_t count)
{
	struct virtio_driver *drv = drv_to_virtio(driver);
	struct virtio_device *vdev;
	struct device *dev;
	char name[32];
	int err = -ENODEV;

	if (strscpy(name, buf, sizeof(name)) < 0)
		return -ENODEV;
	dev = bus_find_device_by_name(driver->bus, NULL, strim(name));
	if (!dev)
		return -ENODEV;

	vdev = dev_to_virtio(dev);
	if (kring_claim_lock(vdev)) {
		if (drv == &kring_pmem_driver)
			err = kring_pmem_claimable(vdev);
		else
			err = kring_vport_claimable(vdev);
		if (!err)
			err = kring_claim_attach(vdev, drv);
		kring_claim_unlock(vdev);
	}
	put_device(dev);
	return err ? err : count;
}
static DRIVER_ATTR_WO(claim);

static struct attribute *kring_claim_attrs[] = {
	&driver_attr_claim.attr,
	NULL
};

static const struct attribute_group kring_claim_group = {
	.attrs = kring_claim_attrs,
};

const struct attribute_group *kring_claim_groups[] = {
	&kring_claim_group,
	NULL
};

/* Look at what there is, and at what comes. The drivers are registered. */
int kring_claim_start(void)
{
	const struct device_driver *drv = &kring_pmem_driver.driver;
	int err;

	err = bus_register_notifier(drv->bus, &kring_claim_notifier);
	if (err)
		return err;
	err = bus_for_each_dev(drv->bus, NULL, NULL, kring_claim_each);
	if (err)
		kring_claim_stop();
	return err;
}

/* No more looks: whoever gives a device back now does so in vain. */
void kring_claim_stop(void)
{
	bus_unregister_notifier(kring_pmem_driver.driver.bus, &kring_claim_notifier);
	flush_workqueue(kring_claim_wq);
}

int kring_claim_init(void)
{
	/* One at a time, in the order in which the devices came: so is /dev/kring's number. */
	kring_claim_wq = alloc_ordered_workqueue("kring_claim", 0);
	return kring_claim_wq ? 0 : -ENOMEM;
}

/* The drivers are unregistered: nobody has anything to give back. */
void kring_claim_exit(void)
{
	destroy_workqueue(kring_claim_wq);
}
