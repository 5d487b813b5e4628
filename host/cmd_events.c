// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring events: show what happens at the broker.
 */
#include <getopt.h>
#include <stdio.h>

#include "show.h"

static const char help_text[] =
	"Usage: kring events [OPTION...]\n"
	"\n"
	"Show what happens at the broker, a line each, until it is interrupted: clients that\n"
	"come and go, streams, the guest's agent, the ring.\n"
	"\n"
	"  -j, --json              an object of JSON a line\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

int cmd_events(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	struct show_args args = {
		.client = &client, .name = "events", .service = "broker.events", .again = true,
	};
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":jh", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'j':
			args.service = "broker.events.json";
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "events: what is %.64s?", argv[optind]);
	return show_text(&args, err);
}
