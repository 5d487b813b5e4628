// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "clock": step the guest's clock, which stood still in a snapshot.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "services.h"

#define SECOND	1000000000ll

static void clock_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	const Kring__Clock *wanted = request;
	Kring__Clock before = KRING__CLOCK__INIT;
	struct timespec now, then;

	(void)agent;
	if (wanted->time < 0) {
		kring_reset(stream, EINVAL, "clock", "%lld: a time before 1970",
			    (long long)wanted->time);
		return;
	}
	then.tv_sec = wanted->time / SECOND;
	then.tv_nsec = wanted->time % SECOND;
	clock_gettime(CLOCK_REALTIME, &now);
	if (clock_settime(CLOCK_REALTIME, &then)) {
		kring_reset(stream, errno, "clock", "set the clock: %s", strerror(errno));
		return;
	}
	before.time = now.tv_sec * SECOND + now.tv_nsec;
	log_info("clock: stepped by %+lld ms", (long long)(wanted->time - before.time) / 1000000);
	if (kring_accept(stream, NULL, 0))
		kring_reset(stream, ENOMEM, "clock", "out of memory");
	else
		kring_close(stream, &before.base);
}

const struct service service_clock = {
	.name = "clock",
	.request = &kring__clock__descriptor,
	.open = clock_open,
};
