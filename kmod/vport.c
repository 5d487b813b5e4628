// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Doorbell: the console port kring.NAME, alone on its virtio-console device.
 *
 * We speak the control queue's protocol ourselves: DEVICE_READY; for the one PORT_ADD a
 * PORT_READY; for the one PORT_NAME, when it is kring.*, PORT_OPEN. When it is another's,
 * or a second port or a console appears, the device is given back.
 *
 * A kick is one byte, and it says nothing. At most one is in flight: the host may have
 * taken that byte, and looked, before it could see what a later kick is about, so that one
 * is sent when the byte comes back.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "compat.h"
#include "kring.h"

#define KRING_VPORT_PREFIX	"kring."

/* How long a host may take to name its port. */
#define KRING_VPORT_NAME_MS	2000

/* More ports than any kring has: bounds what a host can make us allocate. */
#define KRING_VPORT_PORTS_MAX	64U

/* Of a control message: its header, a name, a NUL. A longer name is cut, and not ours. */
#define KRING_VPORT_MESSAGE	64U
#define KRING_VPORT_MESSAGES	64U

/* Kicks that are read at once; what they are does not matter. */
#define KRING_VPORT_RX		64

enum kring_vport_state {
	KRING_VPORT_ASKING,	/* no port yet, or one without a name */
	KRING_VPORT_OURS,	/* its port is a doorbell */
	KRING_VPORT_RETURNED,	/* not ours, or about to be removed */
};

/**
 * struct kring_vport - one virtio-console device
 * @doorbell: what it is for
 * @vdev: the device
 * @state: guarded by @control_lock
 * @control_lock: serializes the control protocol
 * @control_work: handles what the host says
 * @undecided: gives the device back when no name comes
 * @control_rx: queue of messages from the host
 * @control_tx: queue of messages to the host
 * @messages: KRING_VPORT_MESSAGES buffers of KRING_VPORT_MESSAGE bytes
 * @vqs: all queues, as virtio numbers them
 * @ports: how many ports they are for
 * @port: the port's number, or @ports: none yet
 * @lock: guards the port's queues, and what follows
 * @rx: the port's queue of bytes from the host; NULL: not started
 * @tx: the port's queue of bytes to the host
 * @rx_bytes: where kicks are read to
 * @tx_byte: what is sent
 * @in_flight: @tx_byte is with the host
 * @again: send another as soon as it is back
 */
struct kring_vport {
	struct kring_doorbell doorbell;
	struct virtio_device *vdev;
	enum kring_vport_state state;
	struct mutex control_lock;	/* outside of the registry's */
	struct work_struct control_work;
	struct delayed_work undecided;
	struct virtqueue *control_rx;
	struct virtqueue *control_tx;
	u8 *messages;
	struct virtqueue **vqs;
	u32 ports;
	u32 port;
	spinlock_t lock;	/* innermost */
	struct virtqueue *rx;
	struct virtqueue *tx;
	u8 *rx_bytes;
	u8 *tx_byte;
	bool in_flight;
	bool again;
};

static struct kring_vport *to_vport(struct kring_doorbell *db)
{
	return container_of(db, struct kring_vport, doorbell);
}

/* Numbers of the queues: port 0, control, port 1, port 2 ... (virtio 1.2, 5.3.2). */
static struct virtqueue *kring_vport_vq(struct kring_vport *v, u32 port, bool to_host)
{
	return v->vqs[(port ? 2 * port + 2 : 0) + to_host];
}

/*
 * The port: kicks
 */

/* Send the byte. Return: whether the host must be notified, once the lock is dropped. */
static bool kring_vport_send(struct kring_vport *v)
{
	struct scatterlist sg;

	v->again = false;
	sg_init_one(&sg, v->tx_byte, 1);
	if (virtqueue_add_outbuf(v->tx, &sg, 1, v->tx_byte, GFP_ATOMIC))
		return false;
	v->in_flight = true;
	virtqueue_disable_cb(v->tx);
	return virtqueue_kick_prepare(v->tx);
}

static bool kring_vport_reclaim(struct kring_vport *v)
{
	unsigned int len;

	if (virtqueue_get_buf(v->tx, &len))
		v->in_flight = false;
	return !v->in_flight;
}

static void kring_vport_kick(struct kring_doorbell *db)
{
	struct kring_vport *v = to_vport(db);
	bool notify = false;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	if (v->tx) {
		if (v->in_flight && !kring_vport_reclaim(v)) {
			v->again = true;
			/* False: it came back meanwhile, and no interrupt will tell. */
			if (!virtqueue_enable_cb(v->tx))
				kring_vport_reclaim(v);
		}
		/*
		 * A VMM may forget over a restore that it was notified of the byte that is in
		 * flight. Then no kick would ever pass again, if riding on it were all.
		 */
		notify = v->in_flight || kring_vport_send(v);
	}
	spin_unlock_irqrestore(&v->lock, flags);

	if (notify)
		virtqueue_notify(v->tx);
}

static const struct kring_doorbell_ops kring_vport_ops = {
	.kind = "vport",
	.kick = kring_vport_kick,
};

/* The byte is back: send the kick that waited for it. */
static void kring_vport_tx_done(struct virtqueue *vq)
{
	struct kring_vport *v = vq->vdev->priv;
	bool notify = false;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	if (vq == v->tx && kring_vport_reclaim(v) && v->again)
		notify = kring_vport_send(v);
	spin_unlock_irqrestore(&v->lock, flags);

	if (notify)
		virtqueue_notify(vq);
}

static void kring_vport_post_rx(struct kring_vport *v)
{
	struct scatterlist sg;

	sg_init_one(&sg, v->rx_bytes, KRING_VPORT_RX);
	if (!virtqueue_add_inbuf(v->rx, &sg, 1, v->rx_bytes, GFP_ATOMIC))
		virtqueue_kick(v->rx);
}

/* The host kicked. The one buffer is taken and posted again, so there is nothing to loop. */
static void kring_vport_rx_done(struct virtqueue *vq)
{
	struct kring_vport *v = vq->vdev->priv;
	bool kicked = false;
	unsigned long flags;
	unsigned int len;

	spin_lock_irqsave(&v->lock, flags);
	if (vq == v->rx && virtqueue_get_buf(vq, &len)) {
		kring_vport_post_rx(v);
		kicked = true;
	}
	spin_unlock_irqrestore(&v->lock, flags);

	if (kicked)
		kring_registry_ring(&v->doorbell);
}

static void kring_vport_start(struct kring_vport *v)
{
	spin_lock_irq(&v->lock);
	v->rx = kring_vport_vq(v, v->port, false);
	v->tx = kring_vport_vq(v, v->port, true);
	kring_vport_post_rx(v);
	spin_unlock_irq(&v->lock);
}

static void kring_vport_stop(struct kring_vport *v)
{
	spin_lock_irq(&v->lock);
	v->rx = NULL;
	v->tx = NULL;
	v->in_flight = false;
	v->again = false;
	spin_unlock_irq(&v->lock);
}

/*
 * The control queue: names
 */

/* Messages that the host has taken are ours to free. */
static void kring_vport_free_sent(struct kring_vport *v)
{
	unsigned int len;
	void *message;

	while ((message = virtqueue_get_buf(v->control_tx, &len)))
		kfree(message);
}

static void kring_vport_tell(struct kring_vport *v, u32 port, u16 event, u16 value)
{
	struct virtio_console_control *message;
	struct scatterlist sg;

	kring_vport_free_sent(v);
	message = kmalloc(sizeof(*message), GFP_KERNEL);
	if (!message)
		goto lost;
	message->id = cpu_to_virtio32(v->vdev, port);
	message->event = cpu_to_virtio16(v->vdev, event);
	message->value = cpu_to_virtio16(v->vdev, value);
	sg_init_one(&sg, message, sizeof(*message));
	if (virtqueue_add_outbuf(v->control_tx, &sg, 1, message, GFP_KERNEL))
		goto free_message;
	virtqueue_kick(v->control_tx);
	return;

free_message:
	kfree(message);
lost:
	dev_warn(&v->vdev->dev, "kring: could not tell the host of event %u\n", event);
}

/* Not ours, or not any more: whoever else knows what to do with it gets it. */
static void kring_vport_return(struct kring_vport *v, const char *why)
{
	if (v->state == KRING_VPORT_OURS)
		kring_registry_del_doorbell(&v->doorbell);
	v->state = KRING_VPORT_RETURNED;
	dev_info(&v->vdev->dev, "kring: given back: %s\n", why);
	kring_claim_return(v->vdev);
}

/* @name is @len bytes from the host, with or without a NUL. */
static void kring_vport_named(struct kring_vport *v, const char *name, size_t len)
{
	const size_t prefix = strlen(KRING_VPORT_PREFIX);
	char full[KRING_VPORT_MESSAGE + 1];

	memcpy(full, name, len);
	full[len] = '\0';
	if (strncmp(full, KRING_VPORT_PREFIX, prefix) || !kring_name_ok(full + prefix)) {
		kring_vport_return(v, "its port is not named kring.NAME");
		return;
	}
	strscpy(v->doorbell.name, full + prefix, sizeof(v->doorbell.name));
	v->state = KRING_VPORT_OURS;
	kring_vport_start(v);
	kring_vport_tell(v, v->port, VIRTIO_CONSOLE_PORT_OPEN, 1);
	kring_registry_add_doorbell(&v->doorbell);
}

static void kring_vport_heard(struct kring_vport *v, const u8 *message, size_t len)
{
	struct virtio_console_control c;
	u32 port;

	if (len < sizeof(c))
		return;
	memcpy(&c, message, sizeof(c));
	port = virtio32_to_cpu(v->vdev, c.id);

	switch (virtio16_to_cpu(v->vdev, c.event)) {
	case VIRTIO_CONSOLE_PORT_ADD:
		if (port >= v->ports)
			return;
		if (v->port != v->ports && v->port != port) {
			kring_vport_return(v, "it carries other ports too");
			return;
		}
		v->port = port;
		kring_vport_tell(v, port, VIRTIO_CONSOLE_PORT_READY, 1);
		return;
	case VIRTIO_CONSOLE_PORT_NAME:
		if (port == v->port && v->state == KRING_VPORT_ASKING)
			kring_vport_named(v, message + sizeof(c), len - sizeof(c));
		return;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		kring_vport_return(v, "it is a console");
		return;
	case VIRTIO_CONSOLE_PORT_REMOVE:
		if (port == v->port)
			kring_vport_return(v, "its port was removed");
		return;
	case VIRTIO_CONSOLE_PORT_OPEN:
		/* The host's end came or went: a kick, and we answer with one. */
		if (port == v->port && v->state == KRING_VPORT_OURS) {
			/* The interrupt for a kick before it may be lost with a restore. */
			kring_vport_rx_done(v->rx);
			kring_registry_ring(&v->doorbell);
			kring_vport_kick(&v->doorbell);
		}
		return;
	}
}

static void kring_vport_post_message(struct kring_vport *v, u8 *message)
{
	struct scatterlist sg;

	sg_init_one(&sg, message, KRING_VPORT_MESSAGE);
	virtqueue_add_inbuf(v->control_rx, &sg, 1, message, GFP_KERNEL);
}

/* One message a run, so that a host that never stops talking keeps nobody from the lock. */
static void kring_vport_control(struct work_struct *work)
{
	struct kring_vport *v = container_of(work, struct kring_vport, control_work);
	unsigned int len;
	u8 *message;

	mutex_lock(&v->control_lock);
	if (v->state == KRING_VPORT_RETURNED)
		goto unlock;
	message = virtqueue_get_buf(v->control_rx, &len);
	if (!message)
		goto unlock;
	kring_vport_heard(v, message, min(len, KRING_VPORT_MESSAGE));
	kring_vport_post_message(v, message);
	virtqueue_kick(v->control_rx);
	schedule_work(&v->control_work);
unlock:
	mutex_unlock(&v->control_lock);
}

static void kring_vport_control_rx_done(struct virtqueue *vq)
{
	struct kring_vport *v = vq->vdev->priv;

	schedule_work(&v->control_work);
}

static void kring_vport_undecided(struct work_struct *work)
{
	struct kring_vport *v = container_of(to_delayed_work(work), struct kring_vport,
					     undecided);

	mutex_lock(&v->control_lock);
	if (v->state == KRING_VPORT_ASKING)
		kring_vport_return(v, "it has no port with a name");
	mutex_unlock(&v->control_lock);
}

/*
 * The device
 */

static int kring_count_ports(struct device *dev, void *count)
{
	if (dev->class && !strcmp(dev->class->name, "virtio-ports"))
		(*(unsigned int *)count)++;
	return 0;
}

/**
 * kring_vport_claimable() - whether a device that we do not drive can be our doorbell
 * @vdev: device, its parent locked
 *
 * Return: 0: yes, if its port has the right name; -ENODEV: not a console with ports;
 * -EBUSY: another driver has it, with none or several ports.
 */
int kring_vport_claimable(struct virtio_device *vdev)
{
	unsigned int count = 0;

	if (vdev->id.device != VIRTIO_ID_CONSOLE || !vdev->config->get)
		return -ENODEV;
	if (!(vdev->config->get_features(vdev) & BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT)))
		return -ENODEV;
	if (!vdev->dev.driver || vdev->dev.driver == &kring_vport_driver.driver)
		return 0;
	device_for_each_child(&vdev->dev, &count, kring_count_ports);
	return count == 1 ? 0 : -EBUSY;
}

static int kring_vport_find_vqs(struct kring_vport *v)
{
	unsigned int n = 2 * v->ports + 2, i;
	struct virtqueue_info *info;
	int err = -ENOMEM;

	v->vqs = kcalloc(n, sizeof(*v->vqs), GFP_KERNEL);
	info = kcalloc(n, sizeof(*info), GFP_KERNEL);
	if (!v->vqs || !info)
		goto free_arrays;

	for (i = 0; i < n; i += 2) {
		info[i].name = "input";
		info[i].callback = kring_vport_rx_done;
		info[i + 1].name = "output";
		info[i + 1].callback = kring_vport_tx_done;
	}
	info[2].name = "control-i";
	info[2].callback = kring_vport_control_rx_done;
	info[3].name = "control-o";
	info[3].callback = NULL;

	err = kring_find_vqs(v->vdev, n, v->vqs, info);
	if (err)
		goto free_arrays;
	v->control_rx = v->vqs[2];
	v->control_tx = v->vqs[3];
	kfree(info);
	return 0;

free_arrays:
	kfree(info);
	kfree(v->vqs);
	v->vqs = NULL;
	return err;
}

static void kring_vport_del_vqs(struct kring_vport *v)
{
	void *message;

	kring_vport_free_sent(v);
	while ((message = virtqueue_detach_unused_buf(v->control_tx)))
		kfree(message);
	v->vdev->config->del_vqs(v->vdev);
	kfree(v->vqs);
	v->vqs = NULL;
}

static void kring_vport_listen(struct kring_vport *v)
{
	unsigned int i, n = min(virtqueue_get_vring_size(v->control_rx), KRING_VPORT_MESSAGES);

	mutex_lock(&v->control_lock);
	for (i = 0; i < n; i++)
		kring_vport_post_message(v, v->messages + i * KRING_VPORT_MESSAGE);
	virtqueue_kick(v->control_rx);
	kring_vport_tell(v, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	schedule_delayed_work(&v->undecided, msecs_to_jiffies(KRING_VPORT_NAME_MS));
	mutex_unlock(&v->control_lock);
}

/* Queues, and the first word to the host, which then names its port. */
static int kring_vport_up(struct kring_vport *v)
{
	int err;

	err = kring_vport_find_vqs(v);
	if (err)
		return err;
	v->state = KRING_VPORT_ASKING;
	v->port = v->ports;
	virtio_device_ready(v->vdev);
	kring_vport_listen(v);
	return 0;
}

/* No doorbell, no queue; nothing of us runs any more. */
static void kring_vport_down(struct kring_vport *v)
{
	mutex_lock(&v->control_lock);
	if (v->state == KRING_VPORT_OURS)
		kring_registry_del_doorbell(&v->doorbell);
	v->state = KRING_VPORT_RETURNED;
	mutex_unlock(&v->control_lock);

	cancel_delayed_work_sync(&v->undecided);
	virtio_reset_device(v->vdev);
	/* No queue calls back any more: nobody schedules it again. */
	cancel_work_sync(&v->control_work);
	if (!v->vqs)
		return;
	kring_vport_stop(v);
	kring_vport_del_vqs(v);
}

static int kring_vport_probe(struct virtio_device *vdev)
{
	struct kring_vport *v;
	int err;

	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		return -ENOMEM;
	v->vdev = vdev;
	v->doorbell.ops = &kring_vport_ops;
	mutex_init(&v->control_lock);
	spin_lock_init(&v->lock);
	INIT_WORK(&v->control_work, kring_vport_control);
	INIT_DELAYED_WORK(&v->undecided, kring_vport_undecided);
	vdev->priv = v;

	err = virtio_cread_feature(vdev, VIRTIO_CONSOLE_F_MULTIPORT,
				   struct virtio_console_config, max_nr_ports, &v->ports);
	if (err)
		goto free_vport;
	err = -EINVAL;
	if (!v->ports)
		goto free_vport;
	v->ports = min(v->ports, KRING_VPORT_PORTS_MAX);

	err = -ENOMEM;
	v->messages = kmalloc(KRING_VPORT_MESSAGES * KRING_VPORT_MESSAGE, GFP_KERNEL);
	v->rx_bytes = kmalloc(KRING_VPORT_RX, GFP_KERNEL);
	v->tx_byte = kzalloc(1, GFP_KERNEL);
	if (!v->messages || !v->rx_bytes || !v->tx_byte)
		goto free_buffers;

	err = kring_vport_up(v);
	if (err)
		goto free_buffers;
	return 0;

free_buffers:
	kfree(v->tx_byte);
	kfree(v->rx_bytes);
	kfree(v->messages);
free_vport:
	kfree(v);
	return err;
}

static void kring_vport_remove(struct virtio_device *vdev)
{
	struct kring_vport *v = vdev->priv;

	kring_vport_down(v);
	kfree(v->tx_byte);
	kfree(v->rx_bytes);
	kfree(v->messages);
	kfree(v);
}

#ifdef CONFIG_PM_SLEEP
/*
 * A device that sleeps forgets its queues. Once it is awake the host names its port again, and
 * the doorbell is back; what was missed meanwhile, its first kick makes good.
 */
static int kring_vport_freeze(struct virtio_device *vdev)
{
	kring_vport_down(vdev->priv);
	return 0;
}

static int kring_vport_restore(struct virtio_device *vdev)
{
	return kring_vport_up(vdev->priv);
}
#endif

/* Matches nothing: claim.c attaches it where it belongs. */
static const struct virtio_device_id kring_vport_ids[] = {
	{ 0 },
};

static const unsigned int kring_vport_features[] = {
	VIRTIO_CONSOLE_F_MULTIPORT,
};

struct virtio_driver kring_vport_driver = {
	.driver.name = "kring_vport",
	.driver.owner = THIS_MODULE,
	.driver.groups = kring_claim_groups,
	.id_table = kring_vport_ids,
	.feature_table = kring_vport_features,
	.feature_table_size = ARRAY_SIZE(kring_vport_features),
	.probe = kring_vport_probe,
	.remove = kring_vport_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = kring_vport_freeze,
	.restore = kring_vport_restore,
#endif
};
