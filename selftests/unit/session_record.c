// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The record of a session: what an agent finds that comes after another one.
 */
#include <stdlib.h>

/* Its source, as the daemon is no library. */
#include "../../daemon/session_record.c"

#include "random.h"
#include <tap.h>

static struct session_record a_record(void)
{
	static char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"true", NULL };
	struct session_record record;

	session_record_init(&record, 7, "seven");
	session_record_arguments(&record, argv);
	record.tty = true;
	record.over_inode = 12345;
	session_record_seal(&record);
	return record;
}

static void test_arguments(void)
{
	char long_one[2000], *argv[] = { (char *)"x", long_one, (char *)"y", NULL };
	char *none[] = { NULL };
	struct session_record record = a_record();

	ok(record.arguments_len == 11 && !memcmp(record.arguments, "sh\0-c\0true", 11),
	   "arguments, each with its end");
	memset(long_one, 'l', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	session_record_arguments(&record, argv);
	session_record_seal(&record);
	ok(record.arguments_len == SESSION_ARGUMENTS_MAX && session_record_valid(&record) &&
	   !record.arguments[SESSION_ARGUMENTS_MAX - 1], "as many as fit, the last one cut off");
	session_record_arguments(&record, none);
	session_record_seal(&record);
	ok(!record.arguments_len && session_record_valid(&record), "none");
}

static void test_changes(void)
{
	const size_t constant = offsetof(struct session_record, keeper);
	struct session_record record = a_record();
	bool good = true;
	size_t i;

	ok(session_record_valid(&record), "as it was sealed");
	record.pid = 100;
	record.durable = true;
	record.exit.recorded = true;
	record.outputs[1].end = 17;
	record.keeper |= 100;
	record.state = SESSION_RUNNING;
	ok(session_record_valid(&record), "and with all that changes later");
	for (i = offsetof(struct session_record, sum); i < constant; i++) {
		((uint8_t *)&record)[i] ^= 0x10;
		expect(&good, !session_record_valid(&record));
		((uint8_t *)&record)[i] ^= 0x10;
	}
	ok(good && session_record_valid(&record), "not with one byte changed that does not");
	record.keeper = 8ull << 32 | 100;
	ok(!session_record_valid(&record), "nor with the keeper of another session");
}

static void test_nonsense(void)
{
	struct session_record record = { 0 };
	uint64_t seed = 1;
	bool good = true;
	unsigned int i, j;

	ok(!session_record_valid(&record), "nothing at all");
	record = a_record();
	memset(record.name, 'n', sizeof(record.name));
	session_record_seal(&record);
	ok(!session_record_valid(&record), "a name without an end");
	record = a_record();
	record.arguments_len = SESSION_ARGUMENTS_MAX + 1;
	session_record_seal(&record);
	ok(!session_record_valid(&record), "more arguments than there may be");
	record = a_record();
	record.arguments_len = 4;
	session_record_seal(&record);
	ok(!session_record_valid(&record), "an argument without an end");
	for (i = 0; i < 1000; i++) {
		for (j = 0; j < sizeof(record); j++)
			((uint8_t *)&record)[j] = random_below(&seed, 256);
		expect(&good, !session_record_valid(&record));
	}
	ok(good, "anything");
}

int main(void)
{
	test_arguments();
	test_changes();
	test_nonsense();
	return tap_done();
}
