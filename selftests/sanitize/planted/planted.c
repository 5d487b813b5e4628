// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One bug of each kind that the kernels of this directory watch for, to be made on purpose: a
 * watchman that was never heard to bark may be deaf. "none" does what the others do, and does it
 * right.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

static char *bug = "none";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "which one to make");

static ulong address;
module_param(address, ulong, 0444);
MODULE_PARM_DESC(address, "physical address of memory that the host keeps changing");

/* What the compiler must not see through. */
static noinline void poke(char *at, char value)
{
	OPTIMIZER_HIDE_VAR(at);
	*at = value;
}

static int use_after_free(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return -ENOMEM;
	kfree(memory);
	poke(memory, 1);
	return 0;
}

static int overflow(void)
{
	char *memory = kmalloc(60, GFP_KERNEL);

	if (!memory)
		return -ENOMEM;
	poke(memory + 60, 1);
	kfree(memory);
	return 0;
}

static int bounds(void)
{
	/* Beyond the array, and in memory that is there. */
	static struct {
		int array[4];
		int behind[4];
	} both;
	unsigned int i = 5;

	OPTIMIZER_HIDE_VAR(i);
	WRITE_ONCE(both.array[i], 1);
	return 0;
}

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static int locks(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

static int sleep_in_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	msleep(20);
	spin_unlock(&lock);
	return 0;
}

/* Nobody has its address any more; the scan comes later. */
static int leak(void)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		char *memory = kmalloc(128, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(memory);
	}
	return 0;
}

static void tick(struct timer_list *timer)
{
}

static int active_timer(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return -ENOMEM;
	timer_setup(timer, tick, 0);
	mod_timer(timer, jiffies + 100 * HZ);
	kfree(timer);
	return 0;
}

static int list(void)
{
	LIST_HEAD(head);
	struct list_head entry;

	list_add(&entry, &head);
	head.next = &head;
	list_del(&entry);
	return 0;
}

static unsigned long counter;

static int count(void *marked)
{
	unsigned long end = jiffies + 2 * HZ;

	while (time_before(jiffies, end)) {
		if (marked)
			WRITE_ONCE(counter, READ_ONCE(counter) + 1);
		else
			counter++;
		cond_resched();
	}
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static int two_count(void *marked)
{
	struct task_struct *other = kthread_run(count, marked, "planted");
	unsigned long end = jiffies + 2 * HZ;

	if (IS_ERR(other))
		return PTR_ERR(other);
	while (time_before(jiffies, end)) {
		if (marked)
			WRITE_ONCE(counter, READ_ONCE(counter) + 1);
		else
			counter++;
		cond_resched();
	}
	kthread_stop(other);
	return 0;
}

static int race(void)
{
	return two_count(NULL);
}

static int host_writes(bool marked)
{
	unsigned long end = jiffies + 4 * HZ;
	unsigned long sum = 0;
	unsigned long *word;

	word = memremap(address, PAGE_SIZE, MEMREMAP_WB);
	if (!word)
		return -ENOMEM;
	while (time_before(jiffies, end)) {
		sum += marked ? READ_ONCE(*word) : *word;
		barrier();
		cond_resched();
	}
	memunmap(word);
	pr_info("sum %lu\n", sum);
	return 0;
}

static int unmarked(void)
{
	return address ? host_writes(false) : -EINVAL;
}

static int none(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);
	int err;

	if (!memory)
		return -ENOMEM;
	poke(memory + 63, 1);
	kfree(memory);
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	err = two_count(&counter);
	return err || !address ? err : host_writes(true);
}

static const struct {
	const char *name;
	int (*make)(void);
} bugs[] = {
	{ "none", none },
	{ "use-after-free", use_after_free },
	{ "overflow", overflow },
	{ "bounds", bounds },
	{ "locks", locks },
	{ "sleep", sleep_in_atomic },
	{ "leak", leak },
	{ "timer", active_timer },
	{ "list", list },
	{ "race", race },
	{ "unmarked", unmarked },
};

static int __init planted_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++)
		if (!strcmp(bug, bugs[i].name))
			return bugs[i].make();
	pr_err("no bug %s is known\n", bug);
	return -EINVAL;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);

MODULE_DESCRIPTION("Bugs made on purpose");
MODULE_LICENSE("Dual MIT/GPL");
