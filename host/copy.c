// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: what its files share.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "printable.h"

static void show(struct copy *copy, const char *path, const char *text)
{
	char name[256], shown[256];

	printable(name, sizeof(name), path, strlen(path));
	printable(shown, sizeof(shown), text, strlen(text));
	progress_clear(&copy->progress);
	/* What the guest says names the file itself, most of the time. */
	if (strstr(shown, name))
		tool_notice("cp: %s", shown);
	else
		tool_notice("cp: %s: %s", name, shown);
}

void copy_fail(struct copy *copy, const char *path, const char *fmt, ...)
{
	char text[256];
	va_list args;

	copy->failed = true;
	/* All else fails because of that, which is said at the end. */
	if (copy->lost)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	show(copy, path, text);
}

int copy_error(struct copy *copy, struct kring_error *why, const void *error, size_t len)
{
	Kring__Error *e = kring_unpack(&kring__error__descriptor, error, len);
	int code = client_error(why, error, len);

	/* A guest that says so itself is not worth talking to either. */
	if (e && !strcmp(e->step, "connection")) {
		code = -ECONNRESET;
		copy->failed = true;
		if (!copy->lost)
			*copy->err = *why;
		copy->lost = true;
	}
	kring_unpack_free(e);
	return code;
}

void copy_refused(struct copy *copy, const char *path, const void *error, size_t len)
{
	struct kring_error why;

	copy_error(copy, &why, error, len);
	copy_fail(copy, path, "%s", why.text);
}

void copy_notice(struct copy *copy, const char *path, const char *text)
{
	show(copy, path, text);
}

void copy_begin(struct copy *copy)
{
	copy->active++;
}

void copy_end(struct copy *copy)
{
	copy->active--;
	if (copy->waiting)
		client_stop(copy->client);
}

/* Until one transfer has ended, or whoever waits is called. */
static int run(struct copy *copy)
{
	struct kring_error why;
	int code;

	if (copy->lost)
		return -ECONNRESET;
	copy->waiting = true;
	code = client_run(copy->client, &why);
	copy->waiting = false;
	if (!code)
		return 0;
	if (!copy->lost)
		*copy->err = why;
	copy->lost = true;
	copy->failed = true;
	return -ECONNRESET;
}

int copy_wait(struct copy *copy, unsigned int max)
{
	int code = 0;

	while (!code && copy->active > max)
		code = run(copy);
	return code;
}

int copy_wait_for(struct copy *copy, const bool *done)
{
	int code = 0;

	while (!code && !*done)
		code = run(copy);
	return code;
}

ProtobufCBinaryData copy_bytes(const char *path)
{
	return (ProtobufCBinaryData){ .len = strlen(path), .data = (uint8_t *)path };
}

char *copy_string(const struct ProtobufCBinaryData *bytes)
{
	return strndup(bytes->len ? (const char *)bytes->data : "", bytes->len);
}

char *copy_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);
	char *path;

	while (len && dir[len - 1] == '/')
		len--;
	if (asprintf(&path, "%.*s/%s", (int)len, dir, name) < 0)
		return NULL;
	return path;
}

bool copy_base(const char *path, char name[NAME_MAX + 1])
{
	size_t len = strlen(path);
	const char *at;

	while (len && path[len - 1] == '/')
		len--;
	for (at = path + len; at > path && at[-1] != '/'; at--)
		;
	len -= at - path;
	if (len > NAME_MAX)
		return false;
	memcpy(name, at, len);
	name[len] = '\0';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		name[0] = '\0';
	return true;
}

/* FNV-1a: it need not be hard to guess, only another one for another file. */
static uint64_t hash(const void *data, size_t len, uint64_t value)
{
	const uint8_t *bytes = data;

	while (len--)
		value = (value ^ *bytes++) * 0x100000001b3;
	return value;
}

void copy_token(char token[KRING_TOKEN_MAX + 1], const char *path,
		const struct copy_version *version)
{
	uint64_t value = 0xcbf29ce484222325;

	value = hash(path, strlen(path), value);
	value = hash(version, sizeof(*version), value);
	snprintf(token, KRING_TOKEN_MAX + 1, "cp-%016" PRIx64 "-%" PRIx64, value, version->size);
}

static Kring__Number *set(Kring__Number *number, int64_t value)
{
	kring__number__init(number);
	number->value = value;
	return number;
}

void copy_attributes(const struct copy *copy, struct attributes *attributes, mode_t mode,
		     uid_t uid, gid_t gid, int64_t mtime)
{
	Kring__Attributes *all = &attributes->all;

	kring__attributes__init(all);
	all->mtime = set(&attributes->mtime, mtime);
	all->mode = set(&attributes->mode, mode & (copy->owner ? 07777 : 0777));
	if (!copy->owner)
		return;
	all->uid = set(&attributes->uid, uid);
	all->gid = set(&attributes->gid, gid);
}
