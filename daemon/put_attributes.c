// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "put": mode and owner of the new file, where the request leaves them open.
 */
#include <unistd.h>

#include "put.h"

#define MODE	0644

static Kring__Number *set(Kring__Number *number, int64_t value)
{
	kring__number__init(number);
	number->value = value;
	return number;
}

static Kring__Number *copy(Kring__Number *number, const Kring__Number *asked)
{
	return asked ? set(number, asked->value) : NULL;
}

/*
 * A file that is replaced keeps its owner, as if it had been written to, where we may give
 * files away; but nobody's setuid bit is inherited by other bytes.
 */
void put_attributes_set(struct put_attributes *attributes, const Kring__Attributes *asked,
			const struct stat *replaced)
{
	Kring__Attributes *all = &attributes->all;

	kring__attributes__init(all);
	if (asked) {
		all->mode = copy(&attributes->mode, asked->mode);
		all->uid = copy(&attributes->uid, asked->uid);
		all->gid = copy(&attributes->gid, asked->gid);
		all->mtime = copy(&attributes->mtime, asked->mtime);
	}
	if (!all->mode)
		all->mode = set(&attributes->mode, replaced ? replaced->st_mode & 0777 : MODE);
	if (!replaced || geteuid() || all->uid || all->gid)
		return;
	all->uid = set(&attributes->uid, replaced->st_uid);
	all->gid = set(&attributes->gid, replaced->st_gid);
}
