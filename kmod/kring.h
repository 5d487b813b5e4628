/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kring.ko, inside.
 *
 * An instance is one region and, when there is one, its doorbell:
 *
 *	/dev/kring	chardev.c --- in.c, out.c --- <kring/ring.h> --- the region
 *			ioctl.c ---/		 mmap.c ----------------/
 *	sources		pmem.c ------ instance.c ----- region.c
 *			param.c, loop.c
 *	doorbells	vport.c ----- registry.c
 *			eventfd.c --/
 *	both		claim.c: whose driver has which virtio device
 *
 * Locks, outermost first:
 *
 *	device_lock of a virtio device's parent, of the device	who drives it
 *	the registry's lock	which instances and doorbells there are, and belong together
 *	a direction's turn	who may wait for data or space
 *	an instance's files	who may have mapped the region
 *	a memory map's lock	held while it asks for a page of the region
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
 * struct kring_source - where a region is, and which end of it is wanted
 * @parent: device that it is from, named in the log
 * @start: physical address, where @base is NULL
 * @base: the kernel's own memory, from vmalloc_user(): mapped already
 * @size: bytes there are
 * @measure: there are as many bytes as the header says
 * @host: the host's end: consumer of g2h, producer of h2g
 */
struct kring_source {
	struct device *parent;
	phys_addr_t start;
	void *base;
	u64 size;
	bool measure;
	bool host;
};

/**
 * struct kring_region - a mapped region
 * @start: physical address, or 0
 * @own: it is the kernel's own memory, which its source looks after
 * @base: where it is mapped
 * @layout: what its header said when it was mapped
 */
struct kring_region {
	phys_addr_t start;
	bool own;
	void *base;
	struct kring_layout layout;
};

int kring_region_look(const struct kring_source *source, struct kring_layout *l);
int kring_region_map(const struct kring_source *source, struct kring_region *r);
void kring_region_unmap(struct kring_region *r);
unsigned long kring_region_pfn(const struct kring_region *r, u64 offset);
u64 kring_region_generation(const struct kring_region *r);
void kring_region_uuid(const struct kring_region *r, u8 uuid[KRING_UUID_LEN]);

/**
 * enum kring_use - how the open file that holds a direction uses it: the first use decides
 * @KRING_USE_NONE: not yet
 * @KRING_USE_FRAMES: read() or write(): this driver has the cursor
 * @KRING_USE_MAPPING: a writable mapping: the program has the cursor
 */
enum kring_use {
	KRING_USE_NONE,
	KRING_USE_FRAMES,
	KRING_USE_MAPPING,
};

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
 * @use: by the open file that holds it
 * @gone: the region is not mapped any more
 * @waiting: want_data or want_space is announced, by this driver
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
	enum kring_use use;
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
 * @minor: of its device number
 * @host: the host's end
 * @region: mapped until kring_instance_remove()
 * @doorbell: how to kick the peer, or NULL
 * @node: in the registry
 * @files_lock: guards @files
 * @files: that are open
 * @in: h2g, or for the host's end g2h; its lock guards @consumer
 * @out: g2h, or for the host's end h2g; its lock guards @producer
 * @consumer: of @in
 * @producer: of @out
 * @rescue: the slow timer
 * @kicks_sent: kicks that the doorbell was given
 * @kicks_suppressed: publishes that the peer did not wait for
 * @kicks_received: kicks from the peer
 * @wakeups_rescued: sleepers that the timer had to wake
 */
struct kring_instance {
	struct device dev;
	struct cdev cdev;
	int minor;
	bool host;
	struct kring_region region;
	struct kring_doorbell __rcu *doorbell;
	struct list_head node;
	struct mutex files_lock;	/* outside of direction locks */
	struct list_head files;
	struct kring_direction in;
	struct kring_direction out;
	struct kring_consumer consumer;
	struct kring_producer producer;
	struct delayed_work rescue;
	atomic64_t kicks_sent;
	atomic64_t kicks_suppressed;
	atomic64_t kicks_received;
	atomic64_t wakeups_rescued;
};

/**
 * struct kring_file - one open file
 * @inst: instance; its cdev keeps it for as long as the file is open
 * @filp: the file
 * @generation: that this file has seen
 * @eventfds: the doorbell that it has brought, or NULL
 * @node: among the open files of @inst
 */
struct kring_file {
	struct kring_instance *inst;
	struct file *filp;
	u64 generation;
	struct kring_doorbell *eventfds;
	struct list_head node;
};

struct kring_instance *kring_instance_add(const struct kring_source *source);
void kring_instance_remove(struct kring_instance *inst);
void kring_instance_rings(struct kring_instance *inst, struct kring_ring *in,
			  struct kring_ring *out);
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
int kring_direction_use(struct kring_direction *d, enum kring_use use);
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
__poll_t kring_direction_poll_mapped(struct kring_instance *inst, struct kring_direction *d,
				     int ready);

/* User memory that is there and still cannot be copied (its tag is wrong, say) is a fault. */
#define KRING_FAULT_TRIES	16

void kring_in_attach(struct kring_instance *inst);
void kring_in_spin(struct kring_instance *inst);
ssize_t kring_in_recv(struct kring_instance *inst, struct iov_iter *to, bool nowait);
__poll_t kring_in_poll(struct kring_instance *inst);
bool kring_in_rescue(struct kring_instance *inst);
int kring_in_reset(struct kring_instance *inst);
int kring_in_give(struct kring_instance *inst);
void kring_in_close(struct kring_instance *inst);

void kring_out_attach(struct kring_instance *inst);
ssize_t kring_out_send(struct kring_instance *inst, struct iov_iter *from, bool nowait);
__poll_t kring_out_poll(struct kring_instance *inst);
bool kring_out_rescue(struct kring_instance *inst);
int kring_out_reset(struct kring_instance *inst);
int kring_out_give(struct kring_instance *inst);
void kring_out_close(struct kring_instance *inst);

/**
 * struct kring_doorbell_ops - one kind of doorbell
 * @kind: its name, for people
 * @kick: wake the peer. Never blocks and never queues up; called in any context, under
 *	rcu_read_lock().
 */
struct kring_doorbell_ops {
	const char *kind;
	void (*kick)(struct kring_doorbell *db);
};

/**
 * struct kring_doorbell - what all doorbells have alike
 * @ops: of its kind
 * @name: of the region that it belongs to, unless it was given to an instance
 * @instance: whom its kicks wake, or NULL
 * @node: in the registry, which pairs it by its name; empty: it was given to an instance
 */
struct kring_doorbell {
	const struct kring_doorbell_ops *ops;
	char name[KRING_NAME_LEN];
	struct kring_instance __rcu *instance;
	struct list_head node;
};

int kring_registry_add_instance(struct kring_instance *inst);
void kring_registry_del_instance(struct kring_instance *inst);
void kring_registry_add_doorbell(struct kring_doorbell *db);
int kring_registry_give_doorbell(struct kring_doorbell *db, struct kring_instance *inst);
void kring_registry_del_doorbell(struct kring_doorbell *db);
void kring_registry_ring(struct kring_doorbell *db);
void kring_registry_rescue_anew(void);
int kring_registry_init(void);
void kring_registry_exit(void);

struct kring_doorbell *kring_eventfd_add(struct kring_instance *inst, int in, int out);
void kring_eventfd_remove(struct kring_doorbell *db);

long kring_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);

void kring_mmap_open(struct kring_file *f);
void kring_mmap_release(struct kring_file *f);
int kring_mmap(struct file *filp, struct vm_area_struct *vma);
void kring_mmap_revoke(struct kring_instance *inst);

extern const struct file_operations kring_fops;
extern const struct attribute_group *kring_groups[];
extern struct class kring_class;

/* Regions that one guest may have; hosts' ends have as many minor numbers behind them. */
#define KRING_INSTANCES_MAX	256

int kring_chardev_init(void);
void kring_chardev_exit(void);
dev_t kring_chardev_devt(int minor);

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

void kring_param_start(void);
void kring_param_stop(void);

extern unsigned int kring_rescue_ms;
extern unsigned int kring_busy_poll_us;

#endif /* KRING_H */
