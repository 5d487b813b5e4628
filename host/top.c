// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What broker.stat has said at one moment, and how it is shown.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <message.h>

#include "json.h"
#include "printable.h"
#include "table.h"
#include "top.h"

/* More than any broker has. */
#define ROWS_MAX	1000000

#define HEAD_LINES	5

static uint64_t counter(const Kring__Info *info, const char *name)
{
	size_t i;

	for (i = 0; info && i < info->n_counters; i++)
		if (!strcmp(info->counters[i]->name, name))
			return info->counters[i]->value;
	return 0;
}

int top_add(struct top_view *view, const Kring__Info *info)
{
	struct top_row *rows, *row;

	if (view->count == view->room) {
		if (view->room >= ROWS_MAX)
			return -EMSGSIZE;
		view->room = view->room ? 2 * view->room : 64;
		rows = realloc(view->rows, view->room * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		view->rows = rows;
	}
	row = &view->rows[view->count++];
	row->stream = counter(info, "stream");
	row->client = counter(info, "client");
	row->pid = counter(info, "pid");
	row->to_guest = counter(info, "to_guest");
	row->to_host = counter(info, "to_host");
	row->from_guest = counter(info, "from_guest");
	printable(row->service, sizeof(row->service), info->agent, strlen(info->agent));
	return 0;
}

void top_clear(struct top_view *view)
{
	free(view->rows);
	kring_unpack_free(view->info);
	memset(view, 0, sizeof(*view));
}

/* In a second; 0 as long as there was no moment before. */
static uint64_t rate(const struct top_view *view, const struct top_view *before, uint64_t now,
		     uint64_t then)
{
	double seconds = (view->time - before->time) / 1e9;

	return before->info && seconds > 0 && now > then ? (now - then) / seconds : 0;
}

static const struct top_row *find(const struct top_view *view, uint64_t stream)
{
	size_t i;

	for (i = 0; i < view->count; i++)
		if (view->rows[i].stream == stream)
			return &view->rows[i];
	return NULL;
}

/**
 * struct shown - a row with its rates
 * @row: it
 * @to_guest: bytes a second
 * @to_host: bytes a second
 */
struct shown {
	const struct top_row *row;
	uint64_t to_guest;
	uint64_t to_host;
};

static int by_rate(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;
	uint64_t rx = x->to_guest + x->to_host, ry = y->to_guest + y->to_host;

	if (rx != ry)
		return rx < ry ? 1 : -1;
	return x->row->stream < y->row->stream ? -1 : x->row->stream > y->row->stream;
}

/* The busiest first; NULL: no memory, or no rows. */
static struct shown *sort_rows(const struct top_view *view, const struct top_view *before)
{
	struct shown *shown = calloc(view->count + 1, sizeof(*shown));
	const struct top_row *row, *then;
	size_t i;

	for (i = 0; shown && i < view->count; i++) {
		row = &view->rows[i];
		then = find(before, row->stream);
		shown[i].row = row;
		shown[i].to_guest = rate(view, before, row->to_guest, then ? then->to_guest : 0);
		shown[i].to_host = rate(view, before, row->to_host, then ? then->to_host : 0);
	}
	if (shown)
		qsort(shown, view->count, sizeof(*shown), by_rate);
	return shown;
}

static uint64_t counter_rate(const struct top_view *view, const struct top_view *before,
			     const char *name)
{
	return rate(view, before, counter(view->info, name), counter(before->info, name));
}

static void print_ring(const struct top_view *view, const struct top_view *before,
		       const char *way, const char *to)
{
	uint64_t size, used, frames, bytes;
	char name[64], cell[TABLE_CELL];

	snprintf(name, sizeof(name), "ring.%s_size", way);
	size = counter(view->info, name);
	snprintf(name, sizeof(name), "ring.%s_used", way);
	used = counter(view->info, name);
	snprintf(name, sizeof(name), "ring.frames_to_%s", to);
	frames = counter_rate(view, before, name);
	snprintf(name, sizeof(name), "ring.bytes_to_%s", to);
	bytes = counter_rate(view, before, name);
	printf("%s  %3" PRIu64 "%% full  %s/s  %" PRIu64 " frames/s\n", way,
	       size ? used * 100 / size : 0, table_bytes(cell, bytes), frames);
}

static void print_head(const struct top_view *view, const struct top_view *before)
{
	printf("%" PRIu64 " clients, %" PRIu64 " streams, %" PRIu64 " waiting, %" PRIu64
	       " opened, %" PRIu64 " reset, generation %" PRIu64 "\n",
	       counter(view->info, "clients"), counter(view->info, "streams"),
	       counter(view->info, "streams_waiting"), counter(view->info, "streams_opened"),
	       counter(view->info, "streams_reset"), view->info->generation);
	print_ring(view, before, "h2g", "guest");
	print_ring(view, before, "g2h", "host");
	printf("kicks  %" PRIu64 "/s sent, %" PRIu64 "/s received, %" PRIu64 "/s not needed, %"
	       PRIu64 " rescued\n",
	       counter_rate(view, before, "ring.kicks_sent"),
	       counter_rate(view, before, "ring.kicks_received"),
	       counter_rate(view, before, "ring.kicks_suppressed"),
	       counter(view->info, "ring.wakeups_rescued"));
}

void top_print(const struct top_view *view, const struct top_view *before, unsigned int lines)
{
	struct shown *shown = sort_rows(view, before);
	char guest[TABLE_CELL], host[TABLE_CELL], total[TABLE_CELL];
	const struct top_row *row;
	size_t i;

	print_head(view, before);
	printf("%8s %6s %8s  %-16s %12s %12s %12s\n", "STREAM", "CLIENT", "PID", "SERVICE",
	       "TO GUEST/s", "TO HOST/s", "TOTAL");
	for (i = 0; shown && i < view->count; i++) {
		if (lines && i + HEAD_LINES + 1 >= lines)
			break;
		row = shown[i].row;
		printf("%8" PRIu64 " %6" PRIu64 " %8" PRIu64 "  %-16s %12s %12s %12s\n",
		       row->stream, row->client, row->pid, row->service,
		       table_bytes(guest, shown[i].to_guest), table_bytes(host, shown[i].to_host),
		       table_bytes(total, row->to_guest + row->to_host));
	}
	free(shown);
}

void top_print_json(const struct top_view *view, const struct top_view *before)
{
	struct shown *shown = sort_rows(view, before);
	struct json json = { .file = stdout };
	const struct top_row *row;
	size_t i;

	json_object(&json, NULL);
	json_unsigned(&json, "generation", view->info->generation);
	json_object(&json, "counters");
	for (i = 0; i < view->info->n_counters; i++)
		json_unsigned(&json, view->info->counters[i]->name,
			      view->info->counters[i]->value);
	json_object_end(&json);
	json_array(&json, "streams");
	for (i = 0; shown && i < view->count; i++) {
		row = shown[i].row;
		json_object(&json, NULL);
		json_unsigned(&json, "stream", row->stream);
		json_unsigned(&json, "client", row->client);
		json_unsigned(&json, "pid", row->pid);
		json_string(&json, "service", row->service);
		json_bool(&json, "from_guest", row->from_guest);
		json_unsigned(&json, "to_guest", row->to_guest);
		json_unsigned(&json, "to_host", row->to_host);
		json_unsigned(&json, "to_guest_rate", shown[i].to_guest);
		json_unsigned(&json, "to_host_rate", shown[i].to_host);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_end(&json);
	free(shown);
}
