// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring broker: own a region, and share it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker.h"

static const char help_text[] =
	"Usage: kring broker --region REGION --socket SOCKET [OPTION...]\n"
	"\n"
	"Own the host's end of REGION, and let any number of kring commands use it at once,\n"
	"through SOCKET (kring exec --socket SOCKET ...).\n"
	"\n"
	"SIGINT ends it, and all streams. SIGTERM ends it and leaves them as they are, as does\n"
	"whatever kills it: clients and programs of the guest go on with the next broker.\n"
	"\n"
	"  -r, --region REGION     made by kring create ($KRING_REGION)\n"
	"  -d, --doorbell PATH     unix socket of the console port ($KRING_DOORBELL)\n"
	"  -s, --socket SOCKET     to be made, for this user only ($KRING_SOCKET)\n"
	"      --service NAME=unix:PATH\n"
	"      --service NAME=tcp:HOST:PORT\n"
	"                          what programs of the guest can be connected to, by NAME;\n"
	"                          may be repeated. There is nothing else that they can reach\n"
	"      --vsock-uds PATH    as Firecracker's vsock: who connects to PATH and says\n"
	"                          \"CONNECT PORT\" is connected to that port of the guest, and\n"
	"                          the guest's connections to port P go to the socket PATH_P\n"
	"      --streams-max N     streams at the same time (default 4096)\n"
	"      --clients-max N     clients at the same time (default 1024)\n"
	"      --memory-max BYTES  for what clients do not read (default 64M); beyond, the one\n"
	"                          that has most waiting is disconnected\n"
	"      --resume-timeout S  seconds that streams wait for their clients to come back,\n"
	"                          before they are ended (default 60)\n"
	"  -v, --verbose           a line for each stream, too\n"
	"  -h, --help              show this\n"
	"\n"
	"kring top and kring events show what it does.\n";

enum broker_option {
	OPTION_SERVICE = 0x200,
	OPTION_VSOCK_UDS,
	OPTION_STREAMS_MAX,
	OPTION_CLIENTS_MAX,
	OPTION_MEMORY_MAX,
	OPTION_RESUME_TIMEOUT,
};

static const struct option options[] = {
	{ "region", required_argument, NULL, 'r' },
	{ "doorbell", required_argument, NULL, 'd' },
	{ "socket", required_argument, NULL, 's' },
	{ "service", required_argument, NULL, OPTION_SERVICE },
	{ "vsock-uds", required_argument, NULL, OPTION_VSOCK_UDS },
	{ "streams-max", required_argument, NULL, OPTION_STREAMS_MAX },
	{ "clients-max", required_argument, NULL, OPTION_CLIENTS_MAX },
	{ "memory-max", required_argument, NULL, OPTION_MEMORY_MAX },
	{ "resume-timeout", required_argument, NULL, OPTION_RESUME_TIMEOUT },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* What a client may have under way, a few times over, has to fit. */
#define MEMORY_MIN	(16ULL << 20)
#define COUNT_MAX	1000000

static int parse_limit(const char *name, const char *text, uint64_t *value,
		       struct kring_error *err)
{
	if (!parse_count(text, value) || *value > COUNT_MAX)
		return tool_usage(err, "--%s %.64s: not a number from 1 to %d", name, text,
				  COUNT_MAX);
	return TOOL_DONE;
}

static int take_option(struct broker_args *args, int opt, char **argv, struct kring_error *err)
{
	switch (opt) {
	case 'r':
		args->region = optarg;
		return TOOL_DONE;
	case 'd':
		args->doorbell = optarg;
		return TOOL_DONE;
	case 's':
		args->socket = optarg;
		return TOOL_DONE;
	case OPTION_SERVICE:
		return local_services_add(&args->services, optarg, err);
	case OPTION_VSOCK_UDS:
		args->vsock_uds = optarg;
		return TOOL_DONE;
	case OPTION_STREAMS_MAX:
		return parse_limit("streams-max", optarg, &args->streams_max, err);
	case OPTION_CLIENTS_MAX:
		return parse_limit("clients-max", optarg, &args->clients_max, err);
	case OPTION_MEMORY_MAX:
		if (!parse_bytes(optarg, &args->memory_max) || args->memory_max < MEMORY_MIN)
			return tool_usage(err, "--memory-max %.64s: not a size of 16M or more",
					  optarg);
		return TOOL_DONE;
	case OPTION_RESUME_TIMEOUT:
		if (!parse_milliseconds(optarg, &args->resume_timeout))
			return tool_usage(err, "--resume-timeout %.64s: not seconds", optarg);
		return TOOL_DONE;
	case 'v':
		args->verbose = true;
		return TOOL_DONE;
	default:
		return tool_bad_option(opt, argv, err);
	}
}

static int check(const struct broker_args *args, int argc, char **argv, struct kring_error *err)
{
	if (optind != argc)
		return tool_usage(err, "broker: what is %.64s?", argv[optind]);
	if (!args->region)
		return tool_usage(err, "broker: --region is needed");
	if (!args->socket)
		return tool_usage(err, "broker: --socket is needed");
	/* Abstract names have no permissions: whoever knows it could connect. */
	if (*args->socket == '@' || (args->vsock_uds && *args->vsock_uds == '@'))
		return tool_usage(err, "broker: its sockets need paths, which belong to somebody");
	return TOOL_DONE;
}

int cmd_broker(int argc, char **argv, struct kring_error *err)
{
	struct broker_args args = {
		.region = getenv("KRING_REGION"),
		.doorbell = getenv("KRING_DOORBELL"),
		.socket = getenv("KRING_SOCKET"),
		.streams_max = 4096,
		.clients_max = 1024,
		.memory_max = 64 << 20,
		.resume_timeout = 60000,
	};
	int opt, status = TOOL_DONE;

	while (status == TOOL_DONE &&
	       (opt = getopt_long(argc, argv, ":r:d:s:vh", options, NULL)) >= 0) {
		if (opt == 'h') {
			fputs(help_text, stdout);
			goto clear_services;
		}
		status = take_option(&args, opt, argv, err);
	}
	if (status == TOOL_DONE)
		status = check(&args, argc, argv, err);
	if (status == TOOL_DONE)
		status = broker_run(&args, err);

clear_services:
	local_services_clear(&args.services);
	return status;
}
