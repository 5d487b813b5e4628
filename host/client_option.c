// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CLIENT_OPTIONS: where the guest is.
 */
#include <errno.h>

#include "client.h"

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
		if (!parse_milliseconds(arg, &args->connect_timeout)) {
			tool_usage(err, "--connect-timeout %.64s: not a number of seconds", arg);
			return -EINVAL;
		}
		return 1;
	default:
		return 0;
	}
}
