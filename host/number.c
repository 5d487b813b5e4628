// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Numbers on the command line.
 */
#include <errno.h>
#include <stdlib.h>

#include "tool.h"

/* strtoull() alone would take " -1". */
static bool parse_digits(const char *text, char **end, uint64_t *value)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return !errno && *value;
}

/** parse_count() - a decimal number, not 0 */
bool parse_count(const char *text, uint64_t *count)
{
	char *end;

	return parse_digits(text, &end, count) && !*end;
}

/** parse_bytes() - a decimal number, not 0, that K, M or G may follow */
bool parse_bytes(const char *text, uint64_t *bytes)
{
	unsigned int shift = 0;
	char *end;

	if (!parse_digits(text, &end, bytes))
		return false;
	if (*end == 'K')
		shift = 10;
	else if (*end == 'M')
		shift = 20;
	else if (*end == 'G')
		shift = 30;
	if (shift)
		end++;
	if (*end || *bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

/** parse_milliseconds() - seconds, not 0, with up to three decimal places */
bool parse_milliseconds(const char *text, uint64_t *milliseconds)
{
	uint64_t seconds, part = 0, unit = 100;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	seconds = strtoull(text, &end, 10);
	/* A century and more is no time to wait, and sums of these are not to overflow. */
	if (errno || seconds > UINT32_MAX)
		return false;
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9' && unit; end++, unit /= 10)
			part += (*end - '0') * unit;
	*milliseconds = seconds * 1000 + part;
	return !*end && *milliseconds;
}
