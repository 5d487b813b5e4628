// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring attach: take up a session that was detached.
 */
#include <getopt.h>
#include <stdio.h>

#include "client.h"
#include "console.h"
#include "terminal.h"

static const char help_text[] =
	"Usage: kring attach [OPTION...] SESSION\n"
	"\n"
	"Take up SESSION, by its number or its name (see kring ps). Its output comes first, as\n"
	"far as it was kept; then all is as with kring exec. When a session has ended, this\n"
	"shows the rest of its output and how it has ended, after which it is forgotten.\n"
	"\n"
	"  -i, --interactive       pass stdin on\n"
	"      --no-log            only what comes from now on\n"
	"      --detach-keys KEYS  that leave a session on a terminal again (default\n"
	"                          " DETACH_KEYS_DEFAULT "; '' for none)\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	CONSOLE_STATUS_HELP;

enum {
	OPTION_NO_LOG = 1,
	OPTION_DETACH_KEYS,
};

static const struct option options[] = {
	{ "interactive", no_argument, NULL, 'i' },
	{ "no-log", no_argument, NULL, OPTION_NO_LOG },
	{ "detach-keys", required_argument, NULL, OPTION_DETACH_KEYS },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

int cmd_attach(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	Kring__Attach request = KRING__ATTACH__INIT;
	Kring__Winsize size = KRING__WINSIZE__INIT;
	struct console_args console = { .service = "attach", .request = &request.base };
	int opt, code;

	detach_keys_parse(&console.keys, DETACH_KEYS_DEFAULT);
	while ((opt = getopt_long(argc, argv, ":ih", options, NULL)) >= 0) {
		code = client_option(&client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'i':
			console.with_stdin = true;
			request.stdin = true;
			break;
		case OPTION_NO_LOG:
			request.no_log = true;
			break;
		case OPTION_DETACH_KEYS:
			if (!detach_keys_parse(&console.keys, optarg))
				return tool_usage(err, "--detach-keys %.64s: not as in '%s'",
						  optarg, DETACH_KEYS_DEFAULT);
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc - 1)
		return tool_usage(err, "attach: one SESSION is needed, not %d", argc - optind);

	request.session = argv[optind];
	if (terminal_size(&size.rows, &size.columns))
		request.tty = &size;
	return console_run(&client, &console, err);
}
