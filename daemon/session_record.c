// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A session's record: what it is made of, and whether it makes sense.
 */
#include <stdio.h>
#include <string.h>

#include "session_record.h"

/* FNV-1a: against accidents. Who may write here may do anything. */
static uint32_t sum_up(const struct session_record *record)
{
	const uint8_t *at = (const uint8_t *)&record->number;
	const uint8_t *end = (const uint8_t *)&record->keeper;
	uint32_t sum = 2166136261u;

	while (at < end)
		sum = (sum ^ *at++) * 16777619u;
	return sum;
}

static uint64_t nanoseconds(const struct timeval *time)
{
	return time->tv_sec * 1000000000ull + time->tv_usec * 1000ull;
}

void session_exit_usage(struct session_exit *exit, const struct rusage *usage)
{
	exit->user_time = nanoseconds(&usage->ru_utime);
	exit->system_time = nanoseconds(&usage->ru_stime);
	exit->max_rss = usage->ru_maxrss * 1024ull;
}

void session_record_init(struct session_record *record, uint64_t number, const char *name)
{
	memset(record, 0, sizeof(*record));
	record->number = number;
	record->keeper = number << 32;
	snprintf(record->name, sizeof(record->name), "%s", name);
}

void session_record_arguments(struct session_record *record, char *const *argv)
{
	size_t len = 0, piece;

	for (; *argv && len < sizeof(record->arguments); argv++) {
		piece = strnlen(*argv, sizeof(record->arguments) - len - 1);
		memcpy(record->arguments + len, *argv, piece);
		len += piece;
		record->arguments[len++] = '\0';
	}
	record->arguments_len = len;
}

void session_record_seal(struct session_record *record)
{
	record->sum = sum_up(record);
}

bool session_record_valid(const struct session_record *record)
{
	if (record->sum != sum_up(record) || !record->number)
		return false;
	if (!memchr(record->name, '\0', sizeof(record->name)))
		return false;
	if (record->arguments_len > sizeof(record->arguments) ||
	    (record->arguments_len && record->arguments[record->arguments_len - 1]))
		return false;
	return record->keeper >> 32 == (record->number & UINT32_MAX);
}
