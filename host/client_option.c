// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CLIENT_OPTIONS: where the guest is.
 */
#include <errno.h>
#include <string.h>

#include "client.h"

static int take_seconds(uint64_t *milliseconds, const char *option, const char *arg,
			struct kring_error *err)
{
	if (parse_milliseconds(arg, milliseconds))
		return 1;
	tool_usage(err, "%s %.64s: not a number of seconds", option, arg);
	return -EINVAL;
}

int client_option(struct client_args *args, int opt, const char *arg, struct kring_error *err)
{
	switch (opt) {
	case CLIENT_OPTION_SOCKET:
		args->socket = arg;
		return 1;
	case CLIENT_OPTION_REGION:
		args->region = arg;
		return 1;
	case CLIENT_OPTION_DOORBELL:
		args->doorbell = arg;
		return 1;
	case CLIENT_OPTION_CONNECT_TIMEOUT:
		return take_seconds(&args->connect_timeout, "--connect-timeout", arg, err);
	case CLIENT_OPTION_RECONNECT_TIMEOUT:
		if (!strcmp(arg, "0")) {
			args->reconnect_timeout = 0;
			return 1;
		}
		return take_seconds(&args->reconnect_timeout, "--reconnect-timeout", arg, err);
	case CLIENT_OPTION_VERBOSE:
		args->verbose = true;
		return 1;
	default:
		return 0;
	}
}
