/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The event loop: one io_uring.
 *
 * Who starts an operation owns its struct loop_op, usually as a member of something larger,
 * and keeps it until @done has been called: exactly once for each start, never from within
 * the function that starts it, and also after loop_cancel(), with -ECANCELED unless it had
 * happened already. So whatever has operations under way is freed when the last is done.
 */
#ifndef KRINGD_LOOP_H
#define KRINGD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <liburing.h>

/* From a loop_op or a loop_job to what it is a member of. */
#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

/**
 * struct loop_op - one operation
 * @done: it has ended: @result is what the system call would return, or a negative errno
 * @busy: it is under way
 *
 * The rest is the loop's own.
 */
struct loop_op {
	void (*done)(struct loop_op *op, int result);
	bool busy;
	bool is_timeout;
	int result;
	struct loop_op *next;
	struct __kernel_timespec time;
};

/**
 * struct loop_job - something to be done once, before the loop waits again
 * @run: does it
 * @next: the loop's own
 * @queued: it is going to be run
 */
struct loop_job {
	void (*run)(struct loop_job *job);
	struct loop_job *next;
	bool queued;
};

/**
 * struct loop - the loop; the members are its own
 * @ring: submissions and completions
 * @first_job: what is to be run next
 * @last_job: where the next job is linked to
 * @jobs: how many are queued
 * @first_ended: operation whose @done is called next
 * @last_ended: where the next one is linked to
 * @pending: operations under way
 * @stopping: loop_run() is to return
 */
struct loop {
	struct io_uring ring;
	struct loop_job *first_job;
	struct loop_job **last_job;
	unsigned int jobs;
	struct loop_op *first_ended;
	struct loop_op **last_ended;
	unsigned int pending;
	bool stopping;
};

/* 0 or a negative errno: -ENOSYS, -EPERM where the kernel has or allows no io_uring. */
int loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

/* Runs until loop_stop(). 0 or a negative errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * Before loop_fini(), when everything was cancelled: runs until nothing is under way, for
 * that many milliseconds at most. Whether nothing is.
 */
bool loop_drain(struct loop *loop, unsigned int milliseconds);

/* Jobs run in the order in which they were queued; one that is queued already stays there. */
void loop_queue(struct loop *loop, struct loop_job *job);
void loop_unqueue(struct loop *loop, struct loop_job *job);

/*
 * Starting cannot fail: where the submission queue is full, it is submitted first. Buffers,
 * addresses and paths stay the caller's until @done. @result as of the system call, and of
 * loop_poll() the events, of loop_timeout() 0, which counts on CLOCK_MONOTONIC. An offset of -1
 * is the file's own position. What is opened or accepted is close-on-exec, and non-blocking where
 * it was accepted.
 */
void loop_poll(struct loop *loop, struct loop_op *op, int fd, unsigned int events);
void loop_timeout(struct loop *loop, struct loop_op *op, uint64_t nanoseconds);
void loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len,
	       uint64_t offset);
void loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len,
		uint64_t offset);
void loop_accept(struct loop *loop, struct loop_op *op, int fd);
void loop_connect(struct loop *loop, struct loop_op *op, int fd, const struct sockaddr *addr,
		  socklen_t len);
void loop_openat(struct loop *loop, struct loop_op *op, int dir, const char *path, int flags,
		 mode_t mode);
void loop_fsync(struct loop *loop, struct loop_op *op, int fd);
void loop_renameat(struct loop *loop, struct loop_op *op, int from_dir, const char *from,
		   int to_dir, const char *to, unsigned int flags);

/* Asks for an end to what is under way. Nothing happens to an op that is not busy. */
void loop_cancel(struct loop *loop, struct loop_op *op);

#endif /* KRINGD_LOOP_H */
