// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Timers that can be polled.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"

/**
 * kring_timer_open() - make a timer, disarmed
 * @epoll: where it is waited for
 * @event: what @epoll reports for it
 *
 * Return: its file descriptor or a negative errno.
 */
int kring_timer_open(int epoll, uint32_t event)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = event };
	int timer, code;

	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer < 0)
		return -errno;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &ev)) {
		code = -errno;
		close(timer);
		return code;
	}
	return timer;
}

/**
 * kring_timer_set() - arm a timer
 * @timer: which
 * @first_ms: when it expires first, 0: at once
 * @period_ms: how often after that, 0: never; both 0: disarm it
 */
void kring_timer_set(int timer, unsigned int first_ms, unsigned int period_ms)
{
	struct itimerspec spec = {
		.it_value = { first_ms / 1000, first_ms % 1000 * 1000000L },
		.it_interval = { period_ms / 1000, period_ms % 1000 * 1000000L },
	};

	/* A first time of 0 would mean to disarm. */
	if (!first_ms && period_ms)
		spec.it_value.tv_nsec = 1;
	timerfd_settime(timer, 0, &spec, NULL);
}

/** kring_timer_expired() - whether it expired since it was asked last */
bool kring_timer_expired(int timer)
{
	uint64_t times;

	return read(timer, &times, sizeof(times)) == sizeof(times);
}
