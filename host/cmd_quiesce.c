// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring quiesce and kring thaw: around a snapshot.
 */
#include <getopt.h>
#include <stdio.h>

#include "client.h"

static const char quiesce_help[] =
	"Usage: kring quiesce [OPTION...]\n"
	"\n"
	"Get the guest ready to be saved: run the hooks in its /etc/kring/freeze.d, and let its\n"
	"agent come to rest. Then save it, and end this with kring thaw. What is asked of the\n"
	"guest meanwhile waits. A restored guest thaws by itself.\n"
	"\n"
	"A snapshot of a guest that is not quiesced is right, too: its programs find themselves\n"
	"where they were. This is for what is outside of the snapshot, or used without it, such as\n"
	"disks that are copied.\n"
	"\n"
	"  -t, --timeout S         seconds until the guest thaws by itself (default 60)\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"Exit status: 0 it is quiesced; 1 it is not, as a hook has refused, which is named, or for\n"
	"another reason. Interrupted, it is not.\n";

static const char thaw_help[] =
	"Usage: kring thaw [OPTION...]\n"
	"\n"
	"Let a guest go on that was quiesced: run the hooks in its /etc/kring/thaw.d, the last one\n"
	"first.\n"
	"\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"Exit status: 0 it was quiesced until now; 1 it was not: where its time was over, what was\n"
	"saved meanwhile may have caught it in the midst of something.\n";

static const struct option quiesce_options[] = {
	{ "timeout", required_argument, NULL, 't' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static const struct option thaw_options[] = {
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static int ask(const struct client_args *args, const char *service,
	       const ProtobufCMessage *request, struct kring_error *err)
{
	struct client *client;
	int code;

	code = client_open(&client, args, err);
	if (code)
		return TOOL_FAILED;
	code = client_call(client, service, request, NULL, NULL, err);
	client_close(client);
	return code ? TOOL_FAILED : TOOL_DONE;
}

int cmd_quiesce(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	Kring__Quiesce request = KRING__QUIESCE__INIT;
	uint64_t timeout;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":t:h", quiesce_options, NULL)) >= 0) {
		code = client_option(&args, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 't':
			if (!parse_milliseconds(optarg, &timeout))
				return tool_usage(err, "--timeout %.64s: not a number of seconds",
						  optarg);
			request.timeout = timeout * 1000000;
			break;
		case 'h':
			fputs(quiesce_help, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "quiesce: what is %.64s?", argv[optind]);
	return ask(&args, "quiesce", &request.base, err);
}

int cmd_thaw(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":h", thaw_options, NULL)) >= 0) {
		code = client_option(&args, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'h':
			fputs(thaw_help, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "thaw: what is %.64s?", argv[optind]);
	return ask(&args, "thaw", NULL, err);
}
