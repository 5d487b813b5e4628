/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers and times for a person.
 */
#ifndef KRING_TABLE_H
#define KRING_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define TABLE_CELL	32

/* "12s", "3m20s", "2h05m", "4d03h" */
const char *table_duration(char cell[TABLE_CELL], uint64_t nanoseconds);

/* "512 B", "1.4 MiB" */
const char *table_bytes(char cell[TABLE_CELL], uint64_t bytes);

/* "2026-01-31 12:00:00", here; "-" where it is no time. */
const char *table_time(char cell[TABLE_CELL], int64_t nanoseconds);

/* "+1.204 s", "-31 us" */
const char *table_offset(char cell[TABLE_CELL], int64_t nanoseconds);

/* @a - @b, whatever a guest has sent: it may wrap. */
static inline int64_t table_difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* CLOCK_REALTIME */
int64_t table_now(void);

#endif /* KRING_TABLE_H */
