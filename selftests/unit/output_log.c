// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The log of a program's output, against a model that keeps everything.
 */
#include <string.h>

/* Its source, as the daemon is no library. */
#include "../../daemon/output_log.c"

#include "random.h"
#include <tap.h>

#define TOTAL	(1024 * 1024)

static uint8_t model[TOTAL];

/* All that the log has, from @position on. */
static bool reads(const struct output_log *log, uint64_t position)
{
	const void *at;
	size_t len;

	while ((len = output_log_peek(log, position, &at))) {
		if (position + len > log->end || memcmp(at, model + position, len))
			return false;
		position += len;
	}
	return position == log->end;
}

static void test_nothing_kept(void)
{
	struct output_log log = { 0 };
	const void *at;

	output_log_append(&log, model, 100);
	ok(log.end == 100 && log.start == 100 && !log.bytes && !output_log_peek(&log, 99, &at) &&
	   !output_log_peek(&log, 100, &at), "without a limit bytes are only counted");
	log.max = 1000;
	output_log_append(&log, model + 100, 10);
	ok(log.start == 100 && log.end == 110 && reads(&log, 100), "kept from now on");
	output_log_free(&log);
	ok(log.start == log.end && !log.bytes, "nothing is there when it was freed");
}

static void test_small_first(void)
{
	struct output_log log = { .max = 65536 };

	output_log_append(&log, model, 10);
	ok(log.size <= 1024, "a line takes %zu bytes of memory", log.size);
	output_log_append(&log, model + 10, 65526);
	ok(log.size == 65536 && log.start == 0 && reads(&log, 0), "it grows to its limit");
	output_log_append(&log, model + 65536, 1);
	ok(log.size == 65536 && log.start == 1 && reads(&log, 1), "and not beyond");
	output_log_free(&log);
}

static void test_drop(void)
{
	struct output_log log = { .max = 100 };
	const void *at;

	output_log_append(&log, model, 80);
	output_log_drop(&log, 50);
	ok(log.start == 50 && !output_log_peek(&log, 49, &at) && reads(&log, 50),
	   "what was dropped is gone");
	output_log_drop(&log, 20);
	ok(log.start == 50, "and does not come back");
	output_log_append(&log, model + 80, 60);
	ok(log.start == 50 && reads(&log, 50), "its place is used");
	output_log_drop(&log, 1000);
	ok(log.start == 140 && log.end == 140, "no more is dropped than there was");
	output_log_free(&log);
}

/* What one has is not there for another. */
static void test_limit(void)
{
	struct output_log a = { .max = 8192 }, b = { .max = 8192 };

	output_log_limit(10000);
	output_log_append(&a, model, 8192);
	output_log_append(&b, model, 8192);
	ok(a.size == 8192 && reads(&a, 0), "the first one takes its part");
	ok(!b.size && b.end == 8192 && b.start == 8192, "the second one only counts");
	output_log_free(&a);
	output_log_append(&b, model + 8192, 8192);
	ok(b.size == 8192 && reads(&b, 8192), "until the first one is gone");
	output_log_free(&b);
	output_log_limit(SIZE_MAX);
}

/* Sizes that do and do not divide each other, pieces shorter and longer than the log. */
static void test_random(size_t max)
{
	uint64_t seed = max, dropped = 0, oldest;
	struct output_log log = { .max = max };
	bool good = true;
	size_t len;

	while (log.end < TOTAL && good) {
		len = random_below(&seed, random_below(&seed, 8) ? 300 : 3 * max);
		if (len > TOTAL - log.end)
			len = TOTAL - log.end;
		output_log_append(&log, model + log.end, len);
		if (!random_below(&seed, 10)) {
			dropped = log.start + random_below(&seed, log.end - log.start + 1);
			output_log_drop(&log, dropped);
		}
		/* Neither more nor less than it may keep. */
		oldest = log.end > max ? log.end - max : 0;
		if (oldest < dropped)
			oldest = dropped;
		expect(&good, log.size <= max);
		expect(&good, log.start == oldest);
		expect(&good, reads(&log, log.start));
	}
	ok(good, "a limit of %zu bytes", max);
	output_log_free(&log);
}

int main(void)
{
	uint64_t seed = 1;
	size_t i;

	for (i = 0; i < sizeof(model); i++)
		model[i] = random_below(&seed, 256);
	test_nothing_kept();
	test_small_first();
	test_drop();
	test_limit();
	test_random(100);
	test_random(1000);
	test_random(1024);
	test_random(5000);
	test_random(65536);
	return tap_done();
}
