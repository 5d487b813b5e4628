// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The keys that leave a session on a terminal.
 */
#include <string.h>

#include "detach_keys.h"

/* One key of @len characters: itself, or ctrl- and a to z or one of @[\]^_. */
static bool parse_key(const char *text, size_t len, char *key)
{
	char c;

	if (len == 1) {
		*key = *text;
		return true;
	}
	if (len != 6 || strncmp(text, "ctrl-", 5))
		return false;
	c = text[5];
	if (c >= 'a' && c <= 'z')
		*key = c - 'a' + 1;
	else if (c >= '@' && c <= '_')
		*key = c - '@';
	else
		return false;
	return true;
}

bool detach_keys_parse(struct detach_keys *keys, const char *text)
{
	size_t len;

	*keys = (struct detach_keys){ 0 };
	while (*text) {
		len = strcspn(text, ",");
		if (keys->count == DETACH_KEYS_MAX ||
		    !parse_key(text, len, &keys->keys[keys->count]))
			return false;
		keys->count++;
		text += len;
		if (*text && !*++text)
			return false;
	}
	return true;
}

/*
 * The longest part of the sequence that what was typed may still become, now that @c does not
 * go on with it. What is in front of that part is passed on.
 */
static size_t fall_back(struct detach_keys *keys, char c, char *out)
{
	char typed[DETACH_KEYS_MAX + 1];
	size_t len = keys->typed + 1;
	size_t skip;

	memcpy(typed, keys->keys, keys->typed);
	typed[keys->typed] = c;
	for (skip = 1; skip < len; skip++)
		if (!memcmp(typed + skip, keys->keys, len - skip))
			break;
	memcpy(out, typed, skip);
	keys->typed = len - skip;
	return skip;
}

size_t detach_keys_filter(struct detach_keys *keys, const char *in, size_t len, char *out,
			  bool *found)
{
	size_t passed = 0, i;

	if (!keys->count) {
		memcpy(out, in, len);
		return len;
	}
	for (i = 0; i < len; i++) {
		if (in[i] != keys->keys[keys->typed]) {
			passed += fall_back(keys, in[i], out + passed);
		} else if (++keys->typed == keys->count) {
			keys->typed = 0;
			*found = true;
			break;
		}
	}
	return passed;
}
