// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The guest's clock, which stood still in a snapshot; and service "clock", to step it.
 *
 * Only CLOCK_REALTIME is ever stepped. All times that something may take are counted on
 * CLOCK_MONOTONIC (loop_timeout(), and all sums of milliseconds): --timeout of a program, from
 * SIGTERM to SIGKILL, those of hooks and of a quiesced guest. No step touches that clock. It is
 * part of what is saved, the guest's kernel and its time counter, and goes on from there in a
 * restored guest: what has passed meanwhile is not counted, however long that was. CLOCK_BOOTTIME
 * is the same clock, but for suspends that the guest makes itself, and is only shown; points in
 * CLOCK_REALTIME, as in ExecExit, are only told.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "services.h"

#define SECOND	1000000000ll

/* A difference that is not worth a step, which programs do not like. */
#define NEAR	(SECOND / 10)

uint64_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

int clock_step(int64_t time, int64_t *before)
{
	struct timespec then = { .tv_sec = time / SECOND, .tv_nsec = time % SECOND };

	*before = clock_now(CLOCK_REALTIME);
	if (clock_settime(CLOCK_REALTIME, &then))
		return -errno;
	log_info("clock: stepped by %+" PRId64 " ms", (time - *before) / 1000000);
	return 0;
}

void clock_follow(int64_t time)
{
	int64_t before;
	int code;

	/* Not said, or nonsense: differences of what is left do not overflow. */
	if (time <= 0)
		return;
	before = clock_now(CLOCK_REALTIME);
	if (time - before <= NEAR && before - time <= NEAR)
		return;
	code = clock_step(time, &before);
	if (code)
		log_warning("clock: it is %+" PRId64 " ms from the host's, and cannot be set: %s",
			    (before - time) / 1000000, strerror(-code));
}

static void clock_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	const Kring__Clock *wanted = request;
	Kring__Clock before = KRING__CLOCK__INIT;
	int code;

	(void)agent;
	if (wanted->time < 0) {
		kring_reset(stream, EINVAL, "clock", "%lld: a time before 1970",
			    (long long)wanted->time);
		return;
	}
	code = clock_step(wanted->time, &before.time);
	if (code) {
		kring_reset(stream, -code, "clock", "set the clock: %s", strerror(-code));
		return;
	}
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
