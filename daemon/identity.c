// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * As whom a program runs. Users and groups are looked up through NSS, so a directory service
 * may have them; and in the child, as that may let one wait for long. The static build cannot
 * load what NSS loads, and reads /etc/passwd and /etc/group. PAM is not asked: who may exec may
 * be anybody anyway.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "identity.h"

/* What setgroups(2) takes. */
#define GROUPS_MAX	65536

#ifdef KRINGD_STATIC

static const struct passwd *passwd_find(const char *name, uid_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry;

	if (!file)
		return NULL;
	while ((entry = fgetpwent(file)))
		if (name ? !strcmp(entry->pw_name, name) : entry->pw_uid == uid)
			break;
	fclose(file);
	return entry;
}

static const struct group *group_find(const char *name)
{
	FILE *file = fopen("/etc/group", "re");
	struct group *entry;

	if (!file)
		return NULL;
	while ((entry = fgetgrent(file)))
		if (!strcmp(entry->gr_name, name))
			break;
	fclose(file);
	return entry;
}

static bool is_member(const struct group *group, const char *name)
{
	char **member;

	for (member = group->gr_mem; *member; member++)
		if (!strcmp(*member, name))
			return true;
	return false;
}

/* As getgrouplist(3). */
static int groups_of(const char *name, gid_t gid, gid_t *groups, int *count)
{
	FILE *file = fopen("/etc/group", "re");
	int size = *count, found = 0;
	struct group *entry;

	if (found++ < size)
		groups[0] = gid;
	while (file && (entry = fgetgrent(file)))
		if (entry->gr_gid != gid && is_member(entry, name) && found++ < size)
			groups[found - 1] = entry->gr_gid;
	if (file)
		fclose(file);
	*count = found;
	return found <= size ? found : -1;
}

#else

static const struct passwd *passwd_find(const char *name, uid_t uid)
{
	return name ? getpwnam(name) : getpwuid(uid);
}

static const struct group *group_find(const char *name)
{
	return getgrnam(name);
}

static int groups_of(const char *name, gid_t gid, gid_t *groups, int *count)
{
	return getgrouplist(name, gid, groups, count);
}

#endif

/* Digits alone are a number. The largest one means "none" to the kernel. */
static bool parse_id(const char *text, uint32_t *id)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*end || errno || value >= UINT32_MAX)
		return false;
	*id = value;
	return true;
}

static int out_of_memory(struct failure *failure, const char *step)
{
	return failure_errno(failure, ENOMEM, step, "look it up");
}

static int find_user(struct identity *identity, const char *user, struct failure *failure)
{
	const struct passwd *entry;
	char number[16];

	if (!*user) {
		identity->uid = geteuid();
		entry = passwd_find(NULL, identity->uid);
	} else if (parse_id(user, &identity->uid)) {
		entry = passwd_find(NULL, identity->uid);
	} else {
		entry = passwd_find(user, 0);
		if (!entry)
			return failure_set(failure, EINVAL, "user", "%.200s: no such user", user);
		identity->uid = entry->pw_uid;
	}
	if (!*user)
		identity->gid = getegid();
	else
		identity->gid = entry ? entry->pw_gid : identity->uid;

	snprintf(number, sizeof(number), "%u", identity->uid);
	identity->name = strdup(entry ? entry->pw_name : number);
	identity->home = strdup(entry && *entry->pw_dir ? entry->pw_dir : "/");
	identity->shell = strdup(entry && *entry->pw_shell ? entry->pw_shell : "/bin/sh");
	if (!identity->name || !identity->home || !identity->shell)
		return out_of_memory(failure, "user");
	return 0;
}

static int find_groups(struct identity *identity, char *const *groups, size_t count,
		       struct failure *failure)
{
	const struct group *entry;
	size_t i;

	if (count > GROUPS_MAX)
		return failure_set(failure, EINVAL, "groups", "%zu, and %d are allowed", count,
				   GROUPS_MAX);
	identity->groups = calloc(count, sizeof(*identity->groups));
	if (!identity->groups)
		return out_of_memory(failure, "groups");
	for (i = 0; i < count; i++) {
		if (parse_id(groups[i], &identity->groups[i]))
			continue;
		entry = group_find(groups[i]);
		if (!entry)
			return failure_set(failure, EINVAL, "groups", "%.200s: no such group",
					   groups[i]);
		identity->groups[i] = entry->gr_gid;
	}
	identity->count = count;
	identity->gid = identity->groups[0];
	return 0;
}

/* Those that the user is in. */
static int find_own_groups(struct identity *identity, struct failure *failure)
{
	int count = 16;
	gid_t *groups;

	for (;;) {
		groups = realloc(identity->groups, count * sizeof(*groups));
		if (!groups)
			return out_of_memory(failure, "groups");
		identity->groups = groups;
		identity->count = count;
		if (groups_of(identity->name, identity->gid, groups, &identity->count) >= 0)
			return 0;
		if (identity->count <= count || identity->count > GROUPS_MAX)
			return failure_set(failure, EINVAL, "groups", "user %.100s is in too many",
					   identity->name);
		count = identity->count;
	}
}

int identity_find(struct identity *identity, const char *user, char *const *groups,
		  size_t count, struct failure *failure)
{
	int code;

	memset(identity, 0, sizeof(*identity));
	code = find_user(identity, user, failure);
	if (code)
		return code;
	identity->change = *user || count;
	if (count)
		return find_groups(identity, groups, count, failure);
	return identity->change ? find_own_groups(identity, failure) : 0;
}

void identity_free(struct identity *identity)
{
	free(identity->groups);
	free(identity->name);
	free(identity->home);
	free(identity->shell);
}

int identity_assume(const struct identity *identity, struct failure *failure)
{
	char number[16];

	if (!identity->change)
		return 0;
	if (setgroups(identity->count, identity->groups))
		return failure_errno(failure, errno, "groups", "set the supplementary groups");
	if (setresgid(identity->gid, identity->gid, identity->gid)) {
		snprintf(number, sizeof(number), "%u", identity->gid);
		return failure_errno(failure, errno, "groups", number);
	}
	if (setresuid(identity->uid, identity->uid, identity->uid))
		return failure_errno(failure, errno, "user", identity->name);
	return 0;
}
