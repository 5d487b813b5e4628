// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring info: show what the guest is.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "json.h"
#include "printable.h"
#include "table.h"

static const char help_text[] =
	"Usage: kring info [OPTION...]\n"
	"\n"
	"Show what the guest is, and how it does.\n"
	"\n"
	"  -c, --counters          those of its rings and streams too\n"
	"  -j, --json              as one JSON object, with the counters; sizes in bytes, times in\n"
	"                          nanoseconds\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "counters", no_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void show_text(const char *name, const char *value)
{
	char text[256];

	printable(text, sizeof(text), value, strlen(value));
	printf("%-12s%s\n", name, *text ? text : "-");
}

static void show_services(const Kring__Info *info)
{
	char text[64];
	size_t i;

	printf("%-12s", "services");
	for (i = 0; i < info->n_services; i++) {
		printable(text, sizeof(text), info->services[i], strlen(info->services[i]));
		printf("%s%s", i ? " " : "", text);
	}
	puts(i ? "" : "-");
}

static void show_counters(const Kring__Info *info)
{
	char text[64];
	size_t i;

	puts("counters");
	for (i = 0; i < info->n_counters; i++) {
		printable(text, sizeof(text), info->counters[i]->name,
			  strlen(info->counters[i]->name));
		printf("  %-32s %" PRIu64 "\n", text, info->counters[i]->value);
	}
}

static void show(const Kring__Info *info, int64_t now)
{
	char cell[TABLE_CELL], other[TABLE_CELL];

	show_text("agent", info->agent);
	show_text("hostname", info->hostname);
	show_text("kernel", info->kernel);
	show_text("machine", info->machine);
	show_text("os", info->os);
	printable(cell, sizeof(cell), info->boot_id.data, info->boot_id.len);
	printf("%-12s%s\n", "uptime", table_duration(cell, info->uptime));
	printf("%-12s%s (%s from the host's)\n", "clock", table_time(cell, info->clock),
	       table_offset(other, table_difference(info->clock, now)));
	printf("%-12s%" PRIu64 "\n", "generation", info->generation);
	printf("%-12s%u, load %.2f\n", "cpus", info->cpus, info->load);
	printf("%-12s%s, %s available\n", "memory", table_bytes(cell, info->memory_total),
	       table_bytes(other, info->memory_available));
	printf("%-12s%u\n", "streams", info->streams);
	printf("%-12s%u\n", "sessions", info->sessions);
	printf("%-12s%s, %u open files\n", "agent uses", table_bytes(cell, info->agent_rss),
	       info->agent_fds);
	show_services(info);
}

static void show_json(const Kring__Info *info, int64_t now)
{
	struct json json = { .file = stdout };
	size_t i;

	json_object(&json, NULL);
	json_string(&json, "agent", info->agent);
	json_string(&json, "hostname", info->hostname);
	json_string(&json, "kernel", info->kernel);
	json_string(&json, "machine", info->machine);
	json_string(&json, "os", info->os);
	json_bytes(&json, "boot_id", info->boot_id.data, info->boot_id.len);
	json_unsigned(&json, "uptime", info->uptime);
	json_signed(&json, "clock", info->clock);
	json_signed(&json, "clock_offset", table_difference(info->clock, now));
	json_unsigned(&json, "generation", info->generation);
	json_unsigned(&json, "memory_total", info->memory_total);
	json_unsigned(&json, "memory_available", info->memory_available);
	json_unsigned(&json, "cpus", info->cpus);
	json_double(&json, "load", info->load);
	json_unsigned(&json, "streams", info->streams);
	json_unsigned(&json, "sessions", info->sessions);
	json_unsigned(&json, "agent_rss", info->agent_rss);
	json_unsigned(&json, "agent_fds", info->agent_fds);
	json_array(&json, "services");
	for (i = 0; i < info->n_services; i++)
		json_string(&json, NULL, info->services[i]);
	json_array_end(&json);
	json_object(&json, "counters");
	for (i = 0; i < info->n_counters; i++)
		json_unsigned(&json, info->counters[i]->name, info->counters[i]->value);
	json_object_end(&json);
	json_object_end(&json);
	json_end(&json);
}

static int info_get(const struct client_args *args, Kring__Info **info, struct kring_error *err)
{
	struct client *client;
	void *answer = NULL;
	int code;

	code = client_open(&client, args, err);
	if (code)
		return code;
	code = client_call(client, "info", NULL, &kring__info__descriptor, &answer, err);
	client_close(client);
	*info = answer;
	return code;
}

int cmd_info(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	bool counters = false, json = false;
	Kring__Info *info;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":cjh", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'c':
			counters = true;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "info: what is %.64s?", argv[optind]);

	if (info_get(&client, &info, err))
		return TOOL_FAILED;
	if (json) {
		show_json(info, table_now());
	} else {
		show(info, table_now());
		if (counters)
			show_counters(info);
	}
	kring_unpack_free(info);
	return TOOL_DONE;
}
