// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "log": what the guest has logged, as text.
 */
#include "guestlog.h"
#include "services.h"

static void log_open(struct agent *agent, struct kring_stream *stream, const void *message)
{
	const Kring__Log *request = message;

	if (!request->kernel && journal_exists())
		journal_open(agent, stream, request);
	else
		kmsg_open(agent, stream, request);
}

const struct service service_log = {
	.name = "log",
	.request = &kring__log__descriptor,
	.open = log_open,
};
