// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /sys/class/kring/kring*: what an operator wants to see. All attributes are removed before
 * the region is unmapped.
 */
#include <linux/sysfs.h>

#include "kring.h"

static struct kring_instance *to_instance(struct device *dev)
{
	return container_of(dev, struct kring_instance, dev);
}

/* The ends know what goes in and out. */
static struct kring_direction *kring_instance_h2g(struct kring_instance *inst)
{
	return inst->host ? &inst->out : &inst->in;
}

static struct kring_direction *kring_instance_g2h(struct kring_instance *inst)
{
	return inst->host ? &inst->in : &inst->out;
}

#define KRING_ATTR(_name, _format, _value)					\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct kring_instance *inst = to_instance(dev);				\
										\
	return sysfs_emit(buf, _format "\n", _value);				\
}										\
static DEVICE_ATTR_RO(_name)

/* Name of the region. */
KRING_ATTR(name, "%s", inst->region.layout.name);
/* "guest", or "host" for the host's end of a loopback pair. */
KRING_ATTR(end, "%s", inst->host ? "host" : "guest");
/* "native" or "amrb". */
KRING_ATTR(format, "%s",
	   inst->region.layout.format == KRING_FORMAT_AMRB ? "amrb" : "native");
/* The host adds one at each restore, fork and adoption. */
KRING_ATTR(generation, "%llu", kring_region_generation(&inst->region));
/* Bytes of data of each ring. */
KRING_ATTR(h2g_size, "%u", inst->region.layout.h2g.size);
KRING_ATTR(g2h_size, "%u", inst->region.layout.g2h.size);

/* Identity of the region; a forked child has its own. */
static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u8 uuid[KRING_UUID_LEN];

	kring_region_uuid(&to_instance(dev)->region, uuid);
	return sysfs_emit(buf, "%pUb\n", uuid);
}
static DEVICE_ATTR_RO(uuid);

/* Kind of the doorbell, or "none". */
static ssize_t doorbell_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct kring_doorbell *db;
	ssize_t len;

	rcu_read_lock();
	db = rcu_dereference(to_instance(dev)->doorbell);
	len = sysfs_emit(buf, "%s\n", db ? db->ops->kind : "none");
	rcu_read_unlock();
	return len;
}
static DEVICE_ATTR_RO(doorbell);

static struct attribute *kring_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_end.attr,
	&dev_attr_format.attr,
	&dev_attr_generation.attr,
	&dev_attr_uuid.attr,
	&dev_attr_h2g_size.attr,
	&dev_attr_g2h_size.attr,
	&dev_attr_doorbell.attr,
	NULL
};

static const struct attribute_group kring_group = {
	.attrs = kring_attrs,
};

/* Since the driver attached: frames, bytes of their payload, most bytes in flight. */
KRING_ATTR(h2g_frames, "%llu", READ_ONCE(kring_instance_h2g(inst)->frames));
KRING_ATTR(h2g_bytes, "%llu", READ_ONCE(kring_instance_h2g(inst)->bytes));
KRING_ATTR(h2g_high_water, "%u", READ_ONCE(kring_instance_h2g(inst)->high_water));
KRING_ATTR(g2h_frames, "%llu", READ_ONCE(kring_instance_g2h(inst)->frames));
KRING_ATTR(g2h_bytes, "%llu", READ_ONCE(kring_instance_g2h(inst)->bytes));
KRING_ATTR(g2h_high_water, "%u", READ_ONCE(kring_instance_g2h(inst)->high_water));
/* Given to the doorbell; publishes that the host did not wait for; from the host. */
KRING_ATTR(kicks_sent, "%lld", atomic64_read(&inst->kicks_sent));
KRING_ATTR(kicks_suppressed, "%lld", atomic64_read(&inst->kicks_suppressed));
KRING_ATTR(kicks_received, "%lld", atomic64_read(&inst->kicks_received));
/* Sleepers that no kick woke, but the timer. Grows: the doorbell does not work. */
KRING_ATTR(wakeups_rescued, "%lld", atomic64_read(&inst->wakeups_rescued));

static struct attribute *kring_stats_attrs[] = {
	&dev_attr_h2g_frames.attr,
	&dev_attr_h2g_bytes.attr,
	&dev_attr_h2g_high_water.attr,
	&dev_attr_g2h_frames.attr,
	&dev_attr_g2h_bytes.attr,
	&dev_attr_g2h_high_water.attr,
	&dev_attr_kicks_sent.attr,
	&dev_attr_kicks_suppressed.attr,
	&dev_attr_kicks_received.attr,
	&dev_attr_wakeups_rescued.attr,
	NULL
};

static const struct attribute_group kring_stats_group = {
	.name = "stats",
	.attrs = kring_stats_attrs,
};

const struct attribute_group *kring_groups[] = {
	&kring_group,
	&kring_stats_group,
	NULL
};
