// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring log: show the guest's log.
 */
#include <getopt.h>
#include <stdio.h>

#include "show.h"

static const char help_text[] =
	"Usage: kring log [OPTION...]\n"
	"\n"
	"Show the guest's log: its journal, where it has one, else its kernel's.\n"
	"\n"
	"  -f, --follow            go on with what is added, until it is interrupted\n"
	"  -n, --lines N           only the last N\n"
	"  -k, --kernel            the kernel's only\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"On a terminal, control characters are shown as escapes.\n";

static const struct option options[] = {
	{ "follow", no_argument, NULL, 'f' },
	{ "lines", required_argument, NULL, 'n' },
	{ "kernel", no_argument, NULL, 'k' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

int cmd_log(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	Kring__Log request = KRING__LOG__INIT;
	struct show_args args = {
		.client = &client, .name = "log", .service = "log", .request = &request.base,
	};
	uint64_t lines;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":fn:kh", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'f':
			request.follow = true;
			break;
		case 'n':
			if (!parse_count(optarg, &lines) || lines > UINT32_MAX)
				return tool_usage(err, "--lines %.64s: not a number", optarg);
			request.lines = lines;
			break;
		case 'k':
			request.kernel = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "log: what is %.64s?", argv[optind]);
	return show_text(&args, err);
}
