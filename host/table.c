// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Numbers and times for a person.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "table.h"

#define SECOND	1000000000LL

const char *table_duration(char cell[TABLE_CELL], uint64_t nanoseconds)
{
	uint64_t s = nanoseconds / SECOND;

	if (s < 60)
		snprintf(cell, TABLE_CELL, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(cell, TABLE_CELL, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(cell, TABLE_CELL, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(cell, TABLE_CELL, "%" PRIu64 "d%02" PRIu64 "h", s / 86400,
			 s / 3600 % 24);
	return cell;
}

const char *table_bytes(char cell[TABLE_CELL], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes / 1024.0;
	unsigned int i = 0;

	if (bytes < 1024) {
		snprintf(cell, TABLE_CELL, "%" PRIu64 " B", bytes);
		return cell;
	}
	for (; value >= 1024 && i < 5; i++)
		value /= 1024;
	snprintf(cell, TABLE_CELL, "%.1f %s", value, units[i]);
	return cell;
}

const char *table_time(char cell[TABLE_CELL], int64_t nanoseconds)
{
	time_t seconds = nanoseconds / SECOND;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) ||
	    !strftime(cell, TABLE_CELL, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(cell, TABLE_CELL, "-");
	return cell;
}

const char *table_offset(char cell[TABLE_CELL], int64_t nanoseconds)
{
	double value = nanoseconds;
	double size = value < 0 ? -value : value;

	if (size < 1e6)
		snprintf(cell, TABLE_CELL, "%+.0f us", value / 1e3);
	else if (size < 1e9)
		snprintf(cell, TABLE_CELL, "%+.1f ms", value / 1e6);
	else
		snprintf(cell, TABLE_CELL, "%+.3f s", value / 1e9);
	return cell;
}

int64_t table_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}
