// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring kill: signal sessions.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "client.h"
#include "signal_name.h"

static const char help_text[] =
	"Usage: kring kill [OPTION...] SESSION...\n"
	"\n"
	"Send a signal to the process group of each SESSION, by its number or its name (see\n"
	"kring ps).\n"
	"\n"
	"  -s, --signal SIGNAL     name or number (default TERM)\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"The exit status is 1 when one of them could not be signalled; the others were.\n";

static const struct option options[] = {
	{ "signal", required_argument, NULL, 's' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static int kill_all(struct client *client, int number, char **sessions, struct kring_error *err)
{
	Kring__Kill request = KRING__KILL__INIT;
	struct kring_error why = { "" };
	int failed = 0;

	request.signal = number;
	for (; *sessions; sessions++) {
		/* One line for each; the last is printed by who prints errors. */
		if (err->text[0])
			tool_notice("%s", err->text);
		err->text[0] = 0;
		request.session = *sessions;
		if (client_call(client, "kill", &request.base, NULL, NULL, &why)) {
			failed = 1;
			snprintf(err->text, sizeof(err->text), "%.64s: %.180s", *sessions,
				 why.text);
		}
	}
	return failed ? TOOL_FAILED : TOOL_DONE;
}

int cmd_kill(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	struct client *client;
	int number = SIGTERM;
	int opt, status;

	while ((opt = getopt_long(argc, argv, ":s:h", options, NULL)) >= 0) {
		status = client_option(&args, opt, optarg, err);
		if (status < 0)
			return TOOL_USAGE;
		if (status)
			continue;
		switch (opt) {
		case 's':
			number = signal_number(optarg);
			if (!number)
				return tool_usage(err, "--signal %.64s: no such signal", optarg);
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind == argc)
		return tool_usage(err, "kill: which SESSION?");

	if (client_open(&client, &args, err))
		return TOOL_FAILED;
	status = kill_all(client, number, argv + optind, err);
	client_close(client);
	return status;
}
