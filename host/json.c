// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Writing JSON.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "json.h"
#include "printable.h"

static void json_text(struct json *json, const uint8_t *at, size_t len)
{
	uint32_t c;
	size_t n;

	putc('"', json->file);
	while (len) {
		n = utf8_length(at, len, &c);
		if (!n) {
			fputs("\\ufffd", json->file);
			n = 1;
		} else if (c == '"' || c == '\\') {
			fprintf(json->file, "\\%c", (int)c);
		} else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			/* Above 0x1f JSON would allow it; a terminal had better not see it. */
			fprintf(json->file, "\\u%04x", (unsigned int)c);
		} else {
			fwrite(at, 1, n, json->file);
		}
		at += n;
		len -= n;
	}
	putc('"', json->file);
}

static void json_begin(struct json *json, const char *key)
{
	if (json->more)
		fputs(", ", json->file);
	if (key) {
		json_text(json, (const uint8_t *)key, strlen(key));
		fputs(": ", json->file);
	}
	json->more = true;
}

void json_object(struct json *json, const char *key)
{
	json_begin(json, key);
	putc('{', json->file);
	json->more = false;
}

void json_object_end(struct json *json)
{
	putc('}', json->file);
	json->more = true;
}

void json_array(struct json *json, const char *key)
{
	json_begin(json, key);
	putc('[', json->file);
	json->more = false;
}

void json_array_end(struct json *json)
{
	putc(']', json->file);
	json->more = true;
}

void json_bytes(struct json *json, const char *key, const void *value, size_t len)
{
	json_begin(json, key);
	json_text(json, value, len);
}

void json_string(struct json *json, const char *key, const char *value)
{
	json_bytes(json, key, value, strlen(value));
}

void json_unsigned(struct json *json, const char *key, uint64_t value)
{
	json_begin(json, key);
	fprintf(json->file, "%" PRIu64, value);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	json_begin(json, key);
	fprintf(json->file, "%" PRId64, value);
}

/* JSON has neither infinity nor NaN, and a guest may send either. */
void json_double(struct json *json, const char *key, double value)
{
	json_begin(json, key);
	if (isfinite(value))
		fprintf(json->file, "%.9g", value);
	else
		fputs("null", json->file);
}

void json_bool(struct json *json, const char *key, bool value)
{
	json_begin(json, key);
	fputs(value ? "true" : "false", json->file);
}

void json_null(struct json *json, const char *key)
{
	json_begin(json, key);
	fputs("null", json->file);
}

void json_end(struct json *json)
{
	putc('\n', json->file);
	json->more = false;
}
