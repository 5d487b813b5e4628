/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Writing JSON, to a FILE. Commas and escapes are seen to; what is opened is to be closed.
 *
 * Strings from the guest are bytes, and JSON has none: what is not UTF-8 in them becomes
 * U+FFFD, so that every reader takes the text.
 */
#ifndef KRING_JSON_H
#define KRING_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** struct json - a text being written; begins as { .file = FILE } */
struct json {
	FILE *file;
	bool more;
};

/* @key: within an object; NULL: within an array, or the text itself */
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_string(struct json *json, const char *key, const char *value);
void json_bytes(struct json *json, const char *key, const void *value, size_t len);
void json_unsigned(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_double(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* The end of the text: a newline. */
void json_end(struct json *json);

#endif /* KRING_JSON_H */
