// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The event loop.
 *
 * Completions are taken off the ring into a list before any callback is called: so a
 * callback may start any number of operations, for which the ring may have to be emptied.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "loop.h"

/* More may be under way: these are those between two submissions. */
#define ENTRIES	128

int loop_init(struct loop *loop)
{
	/* What the kernel has: from 6.1, from 5.19, from ever. */
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0
	};
	struct io_uring_params params;
	unsigned int i;
	int err;

	memset(loop, 0, sizeof(*loop));
	loop->last_job = &loop->first_job;
	loop->last_ended = &loop->first_ended;
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		memset(&params, 0, sizeof(params));
		params.flags = flags[i];
		err = io_uring_queue_init_params(ENTRIES, &loop->ring, &params);
		if (err != -EINVAL)
			break;
	}
	return err;
}

void loop_fini(struct loop *loop)
{
	io_uring_queue_exit(&loop->ring);
}

/* Take what has been completed off the ring. */
static void loop_reap(struct loop *loop)
{
	struct io_uring_cqe *cqe;
	unsigned int head, count = 0;
	struct loop_op *op;

	io_uring_for_each_cqe(&loop->ring, head, cqe) {
		count++;
		op = io_uring_cqe_get_data(cqe);
		/* Of a cancellation nobody wants to know. */
		if (!op)
			continue;
		op->result = cqe->res;
		op->next = NULL;
		*loop->last_ended = op;
		loop->last_ended = &op->next;
	}
	io_uring_cq_advance(&loop->ring, count);
}

/* Submit what was prepared, take what was completed; with @wait there is something. */
static int loop_enter(struct loop *loop, bool wait)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	int ret;

	if (wait)
		ret = io_uring_submit_and_wait(&loop->ring, 1);
	else
		ret = io_uring_submit_and_get_events(&loop->ring);
	loop_reap(loop);

	switch (ret) {
	case -EAGAIN:
	case -ENOMEM:
	case -EBUSY:
		/* The kernel is short of memory, or of room for completions. */
		if (!loop->first_ended)
			nanosleep(&moment, NULL);
		return 0;
	case -EINTR:
	case -ETIME:
		return 0;
	default:
		return ret < 0 ? ret : 0;
	}
}

static void loop_call_ended(struct loop *loop)
{
	struct loop_op *op;

	while ((op = loop->first_ended)) {
		loop->first_ended = op->next;
		if (!op->next)
			loop->last_ended = &loop->first_ended;
		loop->pending--;
		op->busy = false;
		if (op->is_timeout && op->result == -ETIME)
			op->result = 0;
		op->done(op, op->result);
	}
}

/* Those that are queued now; what they queue comes after a look at the ring. */
static void loop_run_jobs(struct loop *loop)
{
	unsigned int count = loop->jobs;
	struct loop_job *job;

	while (count-- && (job = loop->first_job)) {
		loop_unqueue(loop, job);
		job->run(job);
	}
}

/* Waits when there is nothing to be done, and more than @idle operations are under way. */
static int loop_turn(struct loop *loop, unsigned int idle)
{
	bool wait;
	int err;

	loop_run_jobs(loop);
	wait = loop->pending > idle && !loop->jobs && !loop->first_ended && !loop->stopping;
	err = loop_enter(loop, wait);
	loop_call_ended(loop);
	return err;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	while (!loop->stopping && !err)
		err = loop_turn(loop, 0);
	return err;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

static void loop_limit_done(struct loop_op *op, int result)
{
	(void)op;
	(void)result;
}

bool loop_drain(struct loop *loop, unsigned int milliseconds)
{
	struct loop_op limit = { .done = loop_limit_done };
	bool drained;

	loop->stopping = false;
	loop_timeout(loop, &limit, milliseconds * 1000000ull);
	while (limit.busy && (loop->pending > 1 || loop->jobs) && !loop_turn(loop, 1))
		;
	drained = limit.busy;
	loop_cancel(loop, &limit);
	while (limit.busy && !loop_turn(loop, 0))
		;
	return drained;
}

void loop_queue(struct loop *loop, struct loop_job *job)
{
	if (job->queued)
		return;
	job->queued = true;
	job->next = NULL;
	*loop->last_job = job;
	loop->last_job = &job->next;
	loop->jobs++;
}

void loop_unqueue(struct loop *loop, struct loop_job *job)
{
	struct loop_job **at;

	if (!job->queued)
		return;
	for (at = &loop->first_job; *at != job; at = &(*at)->next)
		;
	*at = job->next;
	if (!job->next)
		loop->last_job = at;
	job->queued = false;
	loop->jobs--;
}

static struct io_uring_sqe *loop_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&loop->ring)))
		loop_enter(loop, false);
	return sqe;
}

/* To be filled in by the io_uring_prep_*() of the caller, and by loop_start() thereafter. */
static void loop_start(struct loop *loop, struct loop_op *op, struct io_uring_sqe *sqe)
{
	io_uring_sqe_set_data(sqe, op);
	op->busy = true;
	op->is_timeout = false;
	loop->pending++;
}

void loop_poll(struct loop *loop, struct loop_op *op, int fd, unsigned int events)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_poll_add(sqe, fd, events);
	loop_start(loop, op, sqe);
}

void loop_timeout(struct loop *loop, struct loop_op *op, uint64_t nanoseconds)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	op->time.tv_sec = nanoseconds / 1000000000;
	op->time.tv_nsec = nanoseconds % 1000000000;
	io_uring_prep_timeout(sqe, &op->time, 0, 0);
	loop_start(loop, op, sqe);
	op->is_timeout = true;
}

void loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len,
	       uint64_t offset)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_read(sqe, fd, buf, len, offset);
	loop_start(loop, op, sqe);
}

void loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len,
		uint64_t offset)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_write(sqe, fd, buf, len, offset);
	loop_start(loop, op, sqe);
}

void loop_accept(struct loop *loop, struct loop_op *op, int fd)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	loop_start(loop, op, sqe);
}

void loop_connect(struct loop *loop, struct loop_op *op, int fd, const struct sockaddr *addr,
		  socklen_t len)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_connect(sqe, fd, addr, len);
	loop_start(loop, op, sqe);
}

void loop_openat(struct loop *loop, struct loop_op *op, int dir, const char *path, int flags,
		 mode_t mode)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_openat(sqe, dir, path, flags | O_CLOEXEC, mode);
	loop_start(loop, op, sqe);
}

void loop_fsync(struct loop *loop, struct loop_op *op, int fd)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_fsync(sqe, fd, 0);
	loop_start(loop, op, sqe);
}

void loop_renameat(struct loop *loop, struct loop_op *op, int from_dir, const char *from,
		   int to_dir, const char *to, unsigned int flags)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	io_uring_prep_renameat(sqe, from_dir, from, to_dir, to, flags);
	loop_start(loop, op, sqe);
}

void loop_cancel(struct loop *loop, struct loop_op *op)
{
	struct io_uring_sqe *sqe;

	if (!op->busy)
		return;
	sqe = loop_sqe(loop);
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}
