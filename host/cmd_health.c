// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring health: see whether the guest can run programs.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "json.h"
#include "printable.h"

static const char help_text[] =
	"Usage: kring health [OPTION...]\n"
	"\n"
	"Have the guest run a program to its end. An agent that answers is not yet a guest that\n"
	"works: it may be out of memory, or out of processes.\n"
	"\n"
	"  -q, --quiet             say nothing\n"
	"  -j, --json              as one JSON object, times in nanoseconds\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"Exit status: 0 it works, 1 it does not, or cannot be reached.\n";

static const struct option options[] = {
	{ "quiet", no_argument, NULL, 'q' },
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static int show(const Kring__Health *health, bool quiet, bool json, struct kring_error *err)
{
	struct json out = { .file = stdout };
	bool ok = !strcmp(health->text, "ok");
	char text[160];

	printable(text, sizeof(text), health->text, strlen(health->text));
	if (json) {
		json_object(&out, NULL);
		json_bool(&out, "ok", ok);
		json_string(&out, "text", health->text);
		json_unsigned(&out, "spawn", health->spawn);
		json_object_end(&out);
		json_end(&out);
	} else if (ok && !quiet) {
		printf("ok: ran a program in %.2f ms\n", health->spawn / 1e6);
	}
	if (ok)
		return TOOL_DONE;
	if (!json && !quiet)
		snprintf(err->text, sizeof(err->text), "the guest is not well: %s", text);
	return TOOL_FAILED;
}

int cmd_health(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	bool quiet = false, json = false;
	struct client *client;
	void *health = NULL;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":qjh", options, NULL)) >= 0) {
		code = client_option(&args, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'q':
			quiet = true;
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
		return tool_usage(err, "health: what is %.64s?", argv[optind]);

	code = client_open(&client, &args, err);
	if (!code) {
		code = client_call(client, "health", NULL, &kring__health__descriptor, &health,
				   err);
		client_close(client);
	}
	if (code) {
		if (quiet)
			err->text[0] = 0;
		return TOOL_FAILED;
	}
	code = show(health, quiet, json, err);
	kring_unpack_free(health);
	return code;
}
