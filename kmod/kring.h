/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kring.ko, inside.
 *
 * An instance is one region and, when there is one, its doorbell:
 *
 *	/dev/kring	chardev.c --- h2g.c, g2h.c --- <kring/ring.h> --- the region
 *	sources		pmem.c ------ instance.c ----- region.c
 *	doorbells	vport.c ----- registry.c
 *			eventfd.c --/
 *	both		claim.c: whose driver has which virtio device
 *
 * Locks, outermost first:
 *
 *	device_lock of a virtio device's parent, of the device	who drives it
 *	the registry's lock	which instances and doorbells there are, and belong together
 *	a direction's turn	who may wait for data or space
 *	a direction's lock	one ring's private state, and whether the region is mapped
 *
 * From a kick to the sleepers, and from a commit to the doorbell, none of them is needed:
 * an instance and its doorbell point at each other under RCU.
 *
 * A direction's lock is not held while user memory is faulted in, so who waits for it,
 * an unbind say, waits for a copy in memory at most.
 */
#ifndef KRING_H
#define KRING_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/kring.h>
#include <kring/region.h>
#include <kring/ring.h>

struct kring_doorbell;
struct virtio_device;
struct virtio_driver;

/**
 * struct kring_region - a mapped region
 * @start: physical address
 * @base: where it is mapped
 * @layout: what its header said when it was mapped
 */
struct kring_region {
	phys_addr_t start;
	void *base;
	struct kring_layout layout;
};

int kring_region_look(struct device *dev, phys_addr_t start, u64 size, struct kring_layout *l);
int kring_region_map(struct device *dev, phys_addr_t start, u64 size, struct kring_region *r);
void kring_region_unmap(struct kring_region *r);
u64 kring_region_generation(const struct kring_region *r);
void kring_region_uuid(const struct kring_region *r, u8 uuid[KRING_UUID_LEN]);

/**
 * struct kring_direction - what both directions of an instance have alike
 * @name: "h2g" or "g2h"
 * @turn: held while one waits for data or space: others queue up behind, so a large frame is
 *	not overtaken for ever by small ones
 * @lock: guards the ring's private state, and all below but @key, @wait, @claimed, @watched
 *	and @woken
 * @key: what poll() says when it is ready
 * @wait: who waits for data or for space: whoever has the turn, and pollers
 * @claimed: an open file holds this direction
 * @watched: somebody was told that it is ready, and is not told again by a kick: who has used
 *	that up must wake them
 * @gone: the region is not mapped any more
 * @waiting: want_data or want_space is announced
 * @poisoned: this was told
 * @woken: a wake-up was delivered since somebody looked
 * @generation: at which the host's cursor was compared last
 * @frames: since attach
 * @bytes: of payload, since attach
 * @high_water: most bytes seen in flight
 */
struct kring_direction {
	const char *name;
	__poll_t key;
	struct mutex turn;	/* outside of lock */
	struct mutex lock;	/* inside of turn */
	wait_queue_head_t wait;
	atomic_t claimed;
	atomic_t watched;
	bool gone;
	bool waiting;
	bool poisoned;
	bool woken;
	u64 generation;
	u64 frames;
	u64 bytes;
	u32 high_water;
};

/**
 * struct kring_instance - one region, one /dev/kring*
 * @dev: in class kring; its reference count is the instance's
 * @cdev: holds a reference to @dev as long as a file is open
 * @id: 0 is /dev/kring
 * @region: mapped until kring_instance_remove()
 * @doorbell: how to kick the host, or NULL
 * @node: in the registry
 * @h2g: from the host; its lock guards @consumer
 * @g2h: to the host; its lock guards @producer
 * @consumer: of h2g
 * @producer: of g2h
 * @rescue: the slow timer
 * @kicks_sent: kicks that the doorbell was given
 * @kicks_suppressed: publishes that the host did not wait for
 * @kicks_received: kicks from the host
 * @wakeups_rescued: sleepers that the timer had to wake
 */
struct kring_instance {
	struct device dev;
	struct cdev cdev;
	int id;
	struct kring_region region;
	struct kring_doorbell __rcu *doorbell;
	struct list_head node;
	struct kring_direction h2g;
	struct kring_direction g2h;
	struct kring_consumer consumer;
	struct kring_producer producer;
	struct delayed_work rescue;
	atomic64_t kicks_sent;
	atomic64_t kicks_suppressed;
	atomic64_t kicks_received;
	atomic64_t wakeups_rescued;
};

struct kring_instance *kring_instance_add(struct device *parent, phys_addr_t start, u64 size);
void kring_instance_remove(struct kring_instance *inst);
void kring_instance_wake(struct kring_instance *inst);
void kring_instance_kick(struct kring_instance *inst);
void kring_instance_publish(struct kring_instance *inst, bool kick);
void kring_instance_rescue_later(struct kring_instance *inst);
void kring_instance_rescue_anew(struct kring_instance *inst);
void kring_instance_wait_none(void);

void kring_direction_init(struct kring_direction *d, const char *name, __poll_t key);
void kring_direction_remove(struct kring_direction *d);
bool kring_direction_claim(struct kring_direction *d);
int kring_direction_lock(struct kring_direction *d, bool nowait);
void kring_direction_unlock(struct kring_direction *d);
void kring_direction_pass_turn(struct kring_direction *d);
void kring_direction_wake(struct kring_direction *d);
bool kring_direction_doubt(struct kring_instance *inst, struct kring_direction *d);
int kring_direction_poison(struct kring_instance *inst, struct kring_direction *d,
			   const char *fault, const struct kring_ring *r, u32 head, u32 tail);
void kring_direction_wait(struct kring_instance *inst, struct kring_direction *d);
__poll_t kring_direction_ready(struct kring_direction *d);
void kring_direction_done(struct kring_direction *d, u32 len, u32 in_flight);
bool kring_direction_rescue(struct kring_instance *inst, struct kring_direction *d, bool ready);

/* User memory that is there and still cannot be copied (its tag is wrong, say) is a fault. */
#define KRING_FAULT_TRIES	16

void kring_h2g_attach(struct kring_instance *inst);
ssize_t kring_h2g_recv(struct kring_instance *inst, struct iov_iter *to, bool nowait);
__poll_t kring_h2g_poll(struct kring_instance *inst);
bool kring_h2g_rescue(struct kring_instance *inst);
int kring_h2g_reset(struct kring_instance *inst);
void kring_h2g_close(struct kring_instance *inst);

void kring_g2h_attach(struct kring_instance *inst);
ssize_t kring_g2h_send(struct kring_instance *inst, struct iov_iter *from, bool nowait);
__poll_t kring_g2h_poll(struct kring_instance *inst);
bool kring_g2h_rescue(struct kring_instance *inst);
int kring_g2h_reset(struct kring_instance *inst);
void kring_g2h_close(struct kring_instance *inst);

/**
 * struct kring_doorbell_ops - one kind of doorbell
 * @kind: its name, for people
 * @kick: wake the host. Never blocks and never queues up; called in any context, under
 *	rcu_read_lock().
 */
struct kring_doorbell_ops {
	const char *kind;
	void (*kick)(struct kring_doorbell *db);
};

/**
 * struct kring_doorbell - what all doorbells have alike
 * @ops: of its kind
 * @name: of the region that it belongs to
 * @instance: whom its kicks wake, or NULL
 * @node: in the registry
 */
struct kring_doorbell {
	const struct kring_doorbell_ops *ops;
	char name[KRING_NAME_LEN];
	struct kring_instance __rcu *instance;
	struct list_head node;
};

int kring_registry_add_instance(struct kring_instance *inst);
void kring_registry_del_instance(struct kring_instance *inst);
bool kring_registry_add_doorbell(struct kring_doorbell *db);
void kring_registry_del_doorbell(struct kring_doorbell *db);
void kring_registry_ring(struct kring_doorbell *db);
void kring_registry_rescue_anew(void);
int kring_registry_init(void);
void kring_registry_exit(void);

struct kring_doorbell *kring_eventfd_add(struct kring_instance *inst, int in, int out);
void kring_eventfd_remove(struct kring_doorbell *db);

extern const struct file_operations kring_fops;
extern const struct attribute_group *kring_groups[];
extern struct class kring_class;

/* Minor numbers, and so regions, that one guest may have. */
#define KRING_INSTANCES_MAX	256

int kring_chardev_init(void);
void kring_chardev_exit(void);
dev_t kring_chardev_devt(int id);

extern struct virtio_driver kring_pmem_driver;
int kring_pmem_claimable(struct virtio_device *vdev);

extern struct virtio_driver kring_vport_driver;
int kring_vport_claimable(struct virtio_device *vdev);

int kring_claim_init(void);
void kring_claim_exit(void);
int kring_claim_start(void);
void kring_claim_stop(void);
void kring_claim_return(struct virtio_device *vdev);

extern const struct attribute_group *kring_claim_groups[];
extern unsigned int kring_rescue_ms;

#endif /* KRING_H */
