// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Names of signals.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signal_name.h"

/* The first two of the real-time signals are the C library's; the kernel's begin at 32. */
#define FIRST_REAL_TIME	34
#define LAST_SIGNAL	64

static int real_time_number(const char *name)
{
	char *end;
	long n;

	if (strncasecmp(name, "RTMIN", 5))
		return 0;
	if (!name[5])
		return FIRST_REAL_TIME;
	if (name[5] != '+')
		return 0;
	n = strtol(name + 6, &end, 10);
	if (*end || n < 0 || n > LAST_SIGNAL - FIRST_REAL_TIME)
		return 0;
	return FIRST_REAL_TIME + n;
}

int signal_number(const char *name)
{
	const char *known;
	char *end;
	long n;
	int i;

	if (*name >= '0' && *name <= '9') {
		n = strtol(name, &end, 10);
		return *end || n < 1 || n > LAST_SIGNAL ? 0 : n;
	}
	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (i = 1; i < FIRST_REAL_TIME; i++) {
		known = sigabbrev_np(i);
		if (known && !strcasecmp(known, name))
			return i;
	}
	return real_time_number(name);
}

const char *signal_name(int number)
{
	static char text[16];
	const char *known = sigabbrev_np(number);

	if (known)
		return known;
	if (number >= FIRST_REAL_TIME && number <= LAST_SIGNAL)
		snprintf(text, sizeof(text), "RTMIN+%d", number - FIRST_REAL_TIME);
	else
		snprintf(text, sizeof(text), "%d", number);
	return text;
}
