// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Why something was refused.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"

int failure_set(struct failure *failure, int number, const char *step, const char *fmt, ...)
{
	va_list args;

	failure->number = number;
	snprintf(failure->step, sizeof(failure->step), "%s", step);
	va_start(args, fmt);
	vsnprintf(failure->text, sizeof(failure->text), fmt, args);
	va_end(args);
	return -number;
}

int failure_errno(struct failure *failure, int number, const char *step, const char *what)
{
	/* A long name must not hide what is wrong with it. */
	return failure_set(failure, number, step, "%.200s: %s", what, strerror(number));
}
