// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Text from the guest, on its way to a person's terminal.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "printable.h"

size_t utf8_length(const uint8_t *at, size_t len, uint32_t *character)
{
	/* The lowest character that needs so many bytes: a longer form of a lower one is none. */
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;

	if (!len)
		return 0;
	*character = at[0];
	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	n = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	*character = at[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (at[i] & 0x3f);
	}
	if (*character < lowest[n] || *character > 0x10ffff ||
	    (*character >= 0xd800 && *character <= 0xdfff))
		return 0;
	return n;
}

/* Neither controls, nor what turns the direction of writing around, nor line ends. */
static bool is_plain(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0xad && c != 0x61c &&
	       !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff &&
	       !(c >= 0xe0000 && c <= 0xe0fff);
}

size_t printable(char *out, size_t size, const void *in, size_t len)
{
	const uint8_t *at = in;
	size_t used = 0, n, i;
	char escape[20];
	uint32_t c;

	while (len) {
		n = utf8_length(at, len, &c);
		if (n && is_plain(c)) {
			if (used + n >= size)
				break;
			memcpy(out + used, at, n);
			used += n;
		} else {
			n = n ? n : 1;
			for (i = 0; i < n; i++)
				sprintf(escape + 4 * i, "\\x%02x", at[i]);
			if (used + 4 * n >= size)
				break;
			memcpy(out + used, escape, 4 * n);
			used += 4 * n;
		}
		at += n;
		len -= n;
	}
	if (size)
		out[used] = 0;
	return used;
}
