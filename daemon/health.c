// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "health": an agent that answers may sit in a guest where nothing can be started
 * any more. So start something, this program itself with nothing to do, and see it end.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "health.h"
#include "helper.h"
#include "services.h"

/* For a program that does nothing. */
#define PATIENCE	10000000000ull

/**
 * struct health - one test
 * @agent: who tests
 * @stream: who wants to know, NULL: nobody any more
 * @helper: the program
 * @limit: waits until it should have ended
 * @started: when, CLOCK_MONOTONIC nanoseconds
 */
struct health {
	struct agent *agent;
	struct kring_stream *stream;
	struct helper helper;
	struct loop_op limit;
	uint64_t started;
};

static void health_put(struct health *health)
{
	if (!health->helper.child.pid && !health->limit.busy)
		free(health);
}

static void health_answer(struct health *health, int status)
{
	Kring__Health result = KRING__HEALTH__INIT;
	char text[64];

	if (status) {
		kring_reset(health->stream, EIO, "health", "the program %s",
			    helper_status_text(status, text, sizeof(text)));
		return;
	}
	result.spawn = clock_now(CLOCK_MONOTONIC) - health->started;
	result.text = (char *)"ok";
	kring_close(health->stream, &result.base);
}

static void health_ended(struct helper *helper, int status)
{
	struct health *health = container_of(helper, struct health, helper);

	if (health->stream)
		health_answer(health, status);
	health->stream = NULL;
	loop_cancel(&health->agent->loop, &health->limit);
	health_put(health);
}

static void health_too_late(struct loop_op *op, int result)
{
	struct health *health = container_of(op, struct health, limit);

	if (!result && health->stream) {
		kring_reset(health->stream, ETIMEDOUT, "health",
			    "a program was started, and did not end in %llu seconds",
			    PATIENCE / 1000000000);
		health->stream = NULL;
	}
	if (!result)
		helper_kill(&health->helper, SIGKILL);
	health_put(health);
}

static void health_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct health *health = kring_stream_owner(stream);

	(void)error;
	(void)len;
	health->stream = NULL;
}

static const struct kring_stream_ops health_ops = {
	.reset = health_reset,
};

static void health_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	char *argv[] = { (char *)"/proc/self/exe", (char *)HEALTH_OPTION, NULL };
	struct health *health;
	int err;

	(void)request;
	health = calloc(1, sizeof(*health));
	if (!health) {
		kring_reset(stream, ENOMEM, "health", "out of memory");
		return;
	}
	health->agent = agent;
	health->started = clock_now(CLOCK_MONOTONIC);
	err = helper_start(&health->helper, &agent->loop, argv, -1, health_ended);
	if (err) {
		kring_reset(stream, -err, "health", "start a program: %s", strerror(-err));
		free(health);
		return;
	}
	health->limit.done = health_too_late;
	loop_timeout(&agent->loop, &health->limit, PATIENCE);
	if (kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "health", "out of memory");
		return;
	}
	health->stream = stream;
	kring_stream_set_ops(stream, &health_ops, health);
}

const struct service service_health = {
	.name = "health",
	.open = health_open,
};
