// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Errors in words.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* Of a path, so that what is wrong with it still fits behind. */
#define PATH_SHOWN	112

int kring_error(struct kring_error *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

int kring_error_path(struct kring_error *err, int code, const char *path, const char *fmt, ...)
{
	size_t len = strlen(path);
	va_list args;
	int used;

	if (!err)
		return code;
	if (len > PATH_SHOWN)
		used = snprintf(err->text, sizeof(err->text), "...%s: ",
				path + len - (PATH_SHOWN - 3));
	else
		used = snprintf(err->text, sizeof(err->text), "%s: ", path);
	va_start(args, fmt);
	vsnprintf(err->text + used, sizeof(err->text) - used, fmt, args);
	va_end(args);
	return code;
}

int kring_error_fault(struct kring_error *err, int code, const char *path,
		      const struct kring_fault *fault)
{
	char text[128];

	if (!strcmp(fault->field, "name"))
		snprintf(text, sizeof(text), "name: %s", fault->why);
	else if (!strcmp(fault->field, "magic") || !strcmp(fault->field, "features"))
		snprintf(text, sizeof(text), "%s 0x%llx: %s", fault->field, fault->value,
			 fault->why);
	else
		snprintf(text, sizeof(text), "%s %llu: %s", fault->field, fault->value,
			 fault->why);

	if (path)
		return kring_error_path(err, code, path, "%s", text);
	return kring_error(err, code, "%s", text);
}
