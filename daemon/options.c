// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The command line.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "options.h"

static const char help[] =
	"Usage: kringd [OPTION...]\n\n"
	"The guest's end of a kring: serves the host that shares the region.\n\n"
	"  --config PATH      configuration (default " CONFIG_PATH ")\n"
	"  --check-config     read the configuration, and say what is wrong with it\n"
	"  --device PATH      device (default: the first one there is; waits for it)\n"
	"  --doorbell LINE    of a device that has none: the path of a serial line, of a\n"
	"                     console port or of a unix socket, or vsock:CID:PORT\n"
	"  --listen PATH      serve a socket in place of a device, one peer at a time\n"
	"  --log-level LEVEL  error, warning, notice, info or debug\n"
	"  --help             this\n"
	"  --version          the version\n\n"
	"As PID 1 it is init as well: mounts what is missing, reaps, and shuts down on SIGTERM,\n"
	"or reboots on SIGINT. SIGHUP reads the configuration anew.\n\n"
	"Exit status: 0 done, 1 failed, 2 the command line makes no sense.";

static int bad_option(int opt, char **argv)
{
	if (opt == ':')
		fprintf(stderr, "kringd: option %s needs an argument\n", argv[optind - 1]);
	else
		fprintf(stderr, "kringd: unknown option %s\n", argv[optind - 1]);
	fputs("Try 'kringd --help'.\n", stderr);
	return -EINVAL;
}

int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "device", required_argument, NULL, 'd' },
		{ "doorbell", required_argument, NULL, 'b' },
		{ "listen", required_argument, NULL, 'l' },
		{ "log-level", required_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int opt;

	memset(options, 0, sizeof(*options));
	while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) >= 0) {
		switch (opt) {
		case 'c':
			options->config = optarg;
			break;
		case 'C':
			options->check = true;
			break;
		case 'd':
			options->device = optarg;
			break;
		case 'b':
			options->doorbell = optarg;
			break;
		case 'l':
			options->listen = optarg;
			break;
		case 'L':
			options->log_level = optarg;
			break;
		case 'h':
			puts(help);
			return 1;
		case 'V':
			puts(KRINGD_AGENT);
			return 1;
		default:
			return bad_option(opt, argv);
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "kringd: what is %s?\nTry 'kringd --help'.\n", argv[optind]);
	return -EINVAL;
}

int options_load(const struct options *options, struct config *config, struct config_error *err)
{
	int code;

	code = config_load(config, options->config, err);
	if (!code && options->device)
		code = config_set(config, "device", options->device, err);
	if (!code && options->doorbell)
		code = config_set(config, "doorbell", options->doorbell, err);
	if (!code && options->log_level)
		code = config_set(config, "log_level", options->log_level, err);
	return code;
}
