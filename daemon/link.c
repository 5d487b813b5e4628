// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Moving frames between a file and the multiplexer.
 *
 * At most one frame of each direction is held here: one that was pulled and did not fit,
 * and one that was received while the multiplexer could not take it, as too many answers
 * waited for room. All else stays where flow control sees it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "link.h"
#include "log.h"

/* At a turn, before others have theirs. */
#define FRAMES	64

/* Until there is nothing more, no room, or enough for a turn. 0 or a negative errno. */
static int link_send(struct link *link)
{
	unsigned int budget;
	int err;

	for (budget = FRAMES; budget; budget--) {
		if (!link->out_len)
			link->out_len = kring_mux_pull(link->agent->mux, link->out_frame,
						       sizeof(link->out_frame));
		if (!link->out_len)
			return 0;
		err = link->ops->send(link, link->out_frame, link->out_len);
		link->full = err == -EAGAIN;
		if (link->full)
			return 0;
		if (err)
			return err;
		link->out_len = 0;
	}
	loop_queue(&link->agent->loop, &link->turn);
	return 0;
}

/* Give the multiplexer the frame that we have: whether it took it. */
static bool link_deliver(struct link *link)
{
	if (kring_mux_receive(link->agent->mux, link->in_frame, link->in_len))
		return false;
	link->in_len = 0;
	return true;
}

static int link_receive(struct link *link)
{
	unsigned int budget;
	ssize_t ret;
	int err;

	for (budget = FRAMES; budget; budget--) {
		/* What was received may be why it is. */
		if (link->held)
			return 0;
		if (!link->in_len) {
			ret = link->ops->receive(link, link->in_frame, sizeof(link->in_frame));
			if (ret == -EAGAIN)
				return 0;
			if (ret < 0)
				return ret;
			link->in_len = ret;
		}
		if (!link->in_len || link_deliver(link))
			continue;
		/* Answers are in the way: send some. */
		err = link_send(link);
		if (err || link->full)
			return err;
	}
	loop_queue(&link->agent->loop, &link->turn);
	return 0;
}

static void link_wait(struct link *link)
{
	struct loop *loop = &link->agent->loop;

	/* What we hold first: until it is taken, nothing is read. */
	if (!link->in_len && !link->held && !link->in.busy)
		loop_poll(loop, &link->in, link->fd, POLLIN | POLLPRI);
	if (link->full && !link->out.busy)
		loop_poll(loop, &link->out, link->fd, POLLOUT);
}

static void link_run(struct loop_job *job)
{
	struct link *link = container_of(job, struct link, turn);
	int err, in;

	err = link_send(link);
	/* A peer that has said its last words and gone is heard before it is missed. */
	in = link_receive(link);
	if (!err)
		err = in ? in : link_send(link);
	if (err)
		link_close(link, err);
	else if (!job->queued)
		link_wait(link);
}

/* Nothing is under way any more. */
static void link_free(struct loop_job *job)
{
	struct link *link = container_of(job, struct link, turn);

	if (link->in.busy || link->out.busy)
		return;
	close(link->fd);
	link->ops->closed(link, link->error);
	free(link);
}

static void link_ready(struct link *link, int result)
{
	const unsigned int events = POLLPRI | POLLERR | POLLHUP;
	int err = 0;

	if (!link->error) {
		if (result < 0)
			err = result;
		else if ((result & events) && link->ops->event)
			err = link->ops->event(link, result);
		if (err)
			link_close(link, err);
	}
	loop_queue(&link->agent->loop, &link->turn);
}

static void link_in_ready(struct loop_op *op, int result)
{
	link_ready(container_of(op, struct link, in), result);
}

static void link_out_ready(struct loop_op *op, int result)
{
	link_ready(container_of(op, struct link, out), result);
}

int link_open(struct agent *agent, const struct link_ops *ops, void *owner, int fd,
	      uint32_t frame_max, uint64_t generation)
{
	struct link *link;
	int err;

	/* The frames' buffers need no clearing, and take no memory before they are used. */
	link = malloc(sizeof(*link));
	if (!link)
		return -ENOMEM;
	memset(link, 0, offsetof(struct link, in_frame));
	link->agent = agent;
	link->ops = ops;
	link->owner = owner;
	link->fd = fd;
	link->in.done = link_in_ready;
	link->out.done = link_out_ready;
	link->turn.run = link_run;
	err = agent_link_up(agent, link, frame_max, generation);
	if (err) {
		loop_unqueue(&agent->loop, &link->turn);
		free(link);
		return err;
	}
	loop_queue(&agent->loop, &link->turn);
	return 0;
}

void link_close(struct link *link, int error)
{
	struct loop *loop = &link->agent->loop;

	if (link->error)
		return;
	link->error = error;
	link->turn.run = link_free;
	agent_link_down(link->agent, link->ops->keep, strerror(-error));
	loop_cancel(loop, &link->in);
	loop_cancel(loop, &link->out);
	loop_queue(loop, &link->turn);
}

void link_hold(struct link *link, bool hold)
{
	link->held = hold;
	if (!hold)
		loop_queue(&link->agent->loop, &link->turn);
}

void link_output(struct link *link)
{
	/* With a frame that does not fit, room is waited for already. */
	if (!link->full)
		loop_queue(&link->agent->loop, &link->turn);
}

bool link_idle(const struct link *link)
{
	return !link->out_len && !kring_mux_pending(link->agent->mux);
}

void link_flush(struct link *link, unsigned int milliseconds)
{
	struct pollfd pfd = { .fd = link->fd, .events = POLLOUT };
	uint64_t end = 0, ms;

	while (!link->error && !link_send(link) && !link_idle(link)) {
		ms = clock_now(CLOCK_MONOTONIC) / 1000000;
		if (!end)
			end = ms + milliseconds;
		if (ms >= end)
			break;
		if (link->full)
			poll(&pfd, 1, end - ms);
	}
}
