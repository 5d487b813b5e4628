// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring clock: show or set the guest's clock.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "json.h"
#include "table.h"

static const char help_text[] =
	"Usage: kring clock [OPTION...]\n"
	"\n"
	"Show the guest's clock, and how far it is from the host's.\n"
	"\n"
	"  -s, --set               set it to the host's first\n"
	"  -j, --json              as one JSON object, in nanoseconds\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "set", no_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/**
 * struct clock_times - what was found
 * @before: the guest's, before it was set
 * @guest: the guest's
 * @host: the host's, half a round trip after it was asked
 */
struct clock_times {
	int64_t before;
	int64_t guest;
	int64_t host;
};

static int clock_set(struct client *client, struct clock_times *times, struct kring_error *err)
{
	Kring__Clock request = KRING__CLOCK__INIT;
	Kring__Clock *result;
	void *answer = NULL;
	int code;

	request.time = table_now();
	code = client_call(client, "clock", &request.base, &kring__clock__descriptor, &answer,
			   err);
	if (code)
		return code;
	result = answer;
	times->before = result->time;
	kring_unpack_free(result);
	return 0;
}

static int clock_get(struct client *client, struct clock_times *times, struct kring_error *err)
{
	int64_t asked = table_now();
	void *answer = NULL;
	Kring__Info *info;
	int code;

	code = client_call(client, "info", NULL, &kring__info__descriptor, &answer, err);
	if (code)
		return code;
	info = answer;
	times->guest = info->clock;
	times->host = asked + (table_now() - asked) / 2;
	kring_unpack_free(info);
	return 0;
}

static void show(const struct clock_times *times, bool set, bool json)
{
	char cell[TABLE_CELL], other[TABLE_CELL];
	int64_t offset = table_difference(times->guest, times->host);
	struct json out = { .file = stdout };

	if (json) {
		json_object(&out, NULL);
		if (set)
			json_signed(&out, "before", times->before);
		json_signed(&out, "guest", times->guest);
		json_signed(&out, "host", times->host);
		json_signed(&out, "offset", offset);
		json_object_end(&out);
		json_end(&out);
		return;
	}
	if (set)
		printf("it was %s\n", table_time(cell, times->before));
	printf("%s%s (%s from the host's)\n", set ? "it is  " : "",
	       table_time(cell, times->guest), table_offset(other, offset));
}

int cmd_clock(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	struct clock_times times = { 0 };
	bool set = false, json = false;
	struct client *client;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":sjh", options, NULL)) >= 0) {
		code = client_option(&args, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 's':
			set = true;
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
		return tool_usage(err, "clock: what is %.64s?", argv[optind]);

	code = client_open(&client, &args, err);
	if (code)
		return TOOL_FAILED;
	if (set)
		code = clock_set(client, &times, err);
	if (!code)
		code = clock_get(client, &times, err);
	client_close(client);
	if (code)
		return TOOL_FAILED;
	show(&times, set, json);
	return TOOL_DONE;
}
