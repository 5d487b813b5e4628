// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/kring: mappings of its region. Who may write what follows from who owns it; pages are
 * given one by one as they are touched, and taken back when the device goes.
 */
#include <linux/fs.h>
#include <linux/mm.h>

#include "compat.h"
#include "kring.h"

/* The file, and so what it maps, is known to kring_mmap_revoke() from here on. */
void kring_mmap_open(struct kring_file *f)
{
	mutex_lock(&f->inst->files_lock);
	list_add_tail(&f->node, &f->inst->files);
	mutex_unlock(&f->inst->files_lock);
}

/* The file's last mapping is gone. */
void kring_mmap_release(struct kring_file *f)
{
	mutex_lock(&f->inst->files_lock);
	list_del(&f->node);
	mutex_unlock(&f->inst->files_lock);
}

/**
 * kring_mmap_revoke() - take all pages of the region back
 * @inst: instance, whose directions are gone, so that no page is given any more
 *
 * A device node may exist several times, each with an inode of its own.
 */
void kring_mmap_revoke(struct kring_instance *inst)
{
	struct kring_file *f;

	mutex_lock(&inst->files_lock);
	list_for_each_entry(f, &inst->files, node)
		unmap_mapping_range(f->filp->f_mapping, 0, 0, 1);
	mutex_unlock(&inst->files_lock);
}

static vm_fault_t kring_mmap_fault(struct vm_fault *vmf)
{
	struct kring_file *f = vmf->vma->vm_file->private_data;
	struct kring_instance *inst = f->inst;
	vm_fault_t ret;

	/* One of the two is enough: a region is gone only when both directions are. */
	if (kring_direction_lock(&inst->in, false))
		return VM_FAULT_SIGBUS;
	ret = vmf_insert_pfn(vmf->vma, vmf->address,
			     kring_region_pfn(&inst->region, (u64)vmf->pgoff << PAGE_SHIFT));
	kring_direction_unlock(&inst->in);
	return ret;
}

static const struct vm_operations_struct kring_vm_ops = {
	.fault = kring_mmap_fault,
};

/* Whether [@start, @end) is all in the @size bytes at @part. */
static bool kring_within(u64 start, u64 end, u64 part, u64 size)
{
	return start >= part && end <= part + size;
}

/* The part that a consumer owns: its page, which begins with the tail. */
static bool kring_within_consumer(const struct kring_layout *l, const struct kring_place *in,
				  u64 start, u64 end)
{
	return kring_within(start, end, in->tail, l->granule);
}

/* The parts that a producer owns: its page, which begins with the head, and the data. */
static bool kring_within_producer(const struct kring_layout *l, const struct kring_place *out,
				  u64 start, u64 end)
{
	return kring_within(start, end, out->head, l->granule) ||
	       kring_within(start, end, out->data, out->size);
}

/* Whether @filp may write [@start, @end); then it has the cursor from now on. */
static int kring_mmap_own(struct file *filp, u64 start, u64 end)
{
	struct kring_instance *inst = ((struct kring_file *)filp->private_data)->inst;
	const struct kring_layout *l = &inst->region.layout;

	if ((filp->f_mode & FMODE_READ) &&
	    kring_within_consumer(l, inst->host ? &l->g2h : &l->h2g, start, end))
		return kring_in_give(inst);
	if ((filp->f_mode & FMODE_WRITE) &&
	    kring_within_producer(l, inst->host ? &l->h2g : &l->g2h, start, end))
		return kring_out_give(inst);
	/* The header is the host's. */
	return inst->host && kring_within(start, end, 0, l->granule) ? 0 : -EACCES;
}

/* As <linux/kring.h> has it. The offset in the mapping is the offset in the region. */
int kring_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct kring_instance *inst = ((struct kring_file *)filp->private_data)->inst;
	const struct kring_layout *l = &inst->region.layout;
	u64 start = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 end = start + (vma->vm_end - vma->vm_start);
	int err;

	if (READ_ONCE(inst->in.gone))
		return -ENODEV;
	/* No part would be made of pages. AMRB has no granule. */
	if (l->granule < PAGE_SIZE)
		return -EOPNOTSUPP;
	/* VM_SHARED is not set when the file is open for reading alone. */
	if (!(vma->vm_flags & VM_MAYSHARE) || end > l->region_size || end < start)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;

	kring_vm_flags_mod(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	if (vma->vm_flags & VM_WRITE) {
		err = kring_mmap_own(filp, start, end);
		if (err)
			return err;
	} else {
		/* It may turn out to be another's: only mmap() asks. */
		kring_vm_flags_mod(vma, 0, VM_MAYWRITE);
	}
	vma->vm_ops = &kring_vm_ops;
	return 0;
}
