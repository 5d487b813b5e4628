// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory that was needed at the start alone: the dynamic linker's and libudev's code and
 * tables, and freed heap. An agent idles in each of many small guests, where every page
 * that it holds is one that the guest cannot reclaim as easily, and that a snapshot keeps.
 *
 * Segments that cannot be written to are as they are in their files, so to drop them is to
 * have those pages that are used again mapped again.
 */
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trim.h"

static int trim_object(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t start, end;
	int i;

	(void)size;
	(void)data;
	for (i = 0; i < info->dlpi_phnum; i++) {
		typeof(info->dlpi_phdr) segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		start = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		end = (info->dlpi_addr + segment->p_vaddr + segment->p_memsz + page - 1) &
			~(page - 1);
		/* Where this is refused, nothing is lost. */
		madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

void trim_memory(void)
{
	malloc_trim(0);
	dl_iterate_phdr(trim_object, NULL);
}
