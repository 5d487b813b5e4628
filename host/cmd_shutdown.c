// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring shutdown: power the guest off, or reboot it.
 */
#include <getopt.h>
#include <stdio.h>

#include "client.h"

static const char help_text[] =
	"Usage: kring shutdown [OPTION...]\n"
	"\n"
	"Power the guest off, in order. This ends when that has begun. An init system waits for\n"
	"programs that do not end: systemd 90 s, or DefaultTimeoutStopSec=.\n"
	"\n"
	"  -r, --reboot            start it again\n"
	"  -H, --halt              stop it, and leave the power on\n"
	"  -f, --force             do not ask its init system: write its disks, and go\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "reboot", no_argument, NULL, 'r' },
	{ "halt", no_argument, NULL, 'H' },
	{ "force", no_argument, NULL, 'f' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

int cmd_shutdown(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	Kring__Shutdown request = KRING__SHUTDOWN__INIT;
	struct client *client;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":rHfh", options, NULL)) >= 0) {
		code = client_option(&args, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'r':
		case 'H':
			if (request.how)
				return tool_usage(err, "shutdown: --reboot or --halt?");
			request.how = opt == 'r' ? KRING__SHUTDOWN__HOW__REBOOT :
				      KRING__SHUTDOWN__HOW__HALT;
			break;
		case 'f':
			request.force = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "shutdown: what is %.64s?", argv[optind]);

	if (client_open(&client, &args, err))
		return TOOL_FAILED;
	code = client_call(client, "shutdown", &request.base, NULL, NULL, err);
	client_close(client);
	return code ? TOOL_FAILED : TOOL_DONE;
}
