/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Test results in the Test Anything Protocol.
 *
 *	ok(n == 3, "three of %s", what);
 *	return tap_done();
 */
#ifndef KRING_TAP_H
#define KRING_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

static unsigned int tap_tests;
static unsigned int tap_failures;

__attribute__((format(printf, 4, 5)))
static inline bool tap_result(bool passed, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	printf("%sok %u - ", passed ? "" : "not ", ++tap_tests);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	if (!passed) {
		tap_failures++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return passed;
}

#define ok(cond, ...)	tap_result(cond, __FILE__, __LINE__, __VA_ARGS__)

/* For what is not a test's own business: without it there is nothing to go on with. */
#define must(cond) do {								\
	if (!(cond)) {								\
		printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		exit(1);							\
	}									\
} while (0)

/* Many checks that make one result: the first failure is told, and remembered. */
static inline void tap_expect(bool *good, bool cond, const char *file, int line,
			      const char *text)
{
	if (!cond && *good)
		printf("# %s:%d: %s\n", file, line, text);
	*good &= cond;
}

#define expect(good, cond)	tap_expect(good, cond, __FILE__, __LINE__, #cond)

static inline int tap_done(void)
{
	printf("1..%u\n", tap_tests);
	if (tap_failures)
		printf("# %u of %u failed\n", tap_failures, tap_tests);
	return tap_failures != 0;
}

#endif /* KRING_TAP_H */
