/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What must be known of a session when the agent is killed: in memory that outlives it (see
 * store.h), so that the next agent goes on with it. That one may be another build. So the
 * layout is fixed, without pointers, and has a version (store.c).
 *
 * Nothing is sent or copied as things change: they are stored here, and only here. A process
 * that is killed has made all stores before some point in its program, and none behind it;
 * so what matters is their order, and what makes another store valid comes behind that:
 *
 *	the agent	all that is constant, then @state; what a host is told of comes first
 *	the keeper	how the program has ended, then @exit.recorded, then it is reaped
 *	the kernel	@outputs[].at, in the same call that moves the bytes (output_log.c)
 */
#ifndef KRINGD_SESSION_RECORD_H
#define KRINGD_SESSION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "output_log.h"

#define SESSION_NAME_MAX	64
#define SESSION_ARGUMENTS_MAX	512

/**
 * enum session_state - session_record.state
 * @SESSION_FREE: nobody's record
 * @SESSION_STARTING: no host was told that it runs
 * @SESSION_RUNNING: hosts may know of it, and how it has ended was not taken
 * @SESSION_OVER: nobody asks for it any more; what there still is of it goes
 */
enum session_state {
	SESSION_FREE,
	SESSION_STARTING,
	SESSION_RUNNING,
	SESSION_OVER,
};

/**
 * struct session_exit - how the program has ended
 * @recorded: it has; stored last
 * @status: as of wait4(2), -1: nobody knows
 * @ended: nanoseconds since 1970
 * @user_time: nanoseconds
 * @system_time: nanoseconds
 * @max_rss: bytes
 * @oom_before: kills in the whole system when it began
 * @oom_killed: as memory was short
 * @timed_out: as its time was over
 */
struct session_exit {
	uint32_t recorded;
	int32_t status;
	uint64_t ended;
	uint64_t user_time;
	uint64_t system_time;
	uint64_t max_rss;
	uint64_t oom_before;
	uint8_t oom_killed;
	uint8_t timed_out;
	uint8_t reserved[6];
};

/**
 * struct session_record - one session
 * @state: enum session_state
 * @sum: over what is constant from the start on: from @number up to @keeper
 * @number: the session's
 * @started: nanoseconds since 1970
 * @forked: CLOCK_BOOTTIME before the fork
 * @time_limit: nanoseconds, 0: none
 * @kill_after: nanoseconds from SIGTERM to SIGKILL
 * @log_size: bytes of each output, 0: as usual
 * @over_inode: of the keeper's pipe, by which it is known
 * @tty: it has a terminal
 * @cgroup: it has one
 * @arguments_len: bytes of @arguments
 * @name: or empty
 * @arguments: beginning of its argv, each with a NUL behind
 * @keeper: number's low half << 32 | pid of its keeper; pid 0: none yet. See keeper.c
 * @pid: of the program, its process group and session; 0: not yet
 * @input: stdin is open, at this end
 * @durable: it needs no host
 * @hung_up: its host has gone, and so shall it
 * @runs: CLOCK_BOOTTIME when it was known that the program runs
 * @deadline: CLOCK_MONOTONIC, of its time limit, then of @kill_after; 0: none
 * @exit: how it has ended
 * @outputs: stdout and stderr
 */
struct session_record {
	uint32_t state;
	uint32_t sum;

	uint64_t number;
	uint64_t started;
	uint64_t forked;
	uint64_t time_limit;
	uint64_t kill_after;
	uint64_t log_size;
	uint64_t over_inode;
	uint8_t tty;
	uint8_t cgroup;
	uint16_t arguments_len;
	uint8_t reserved1[4];
	char name[SESSION_NAME_MAX + 8];
	char arguments[SESSION_ARGUMENTS_MAX];

	uint64_t keeper;
	int32_t pid;
	uint8_t input;
	uint8_t durable;
	uint8_t hung_up;
	uint8_t reserved2;
	uint64_t runs;
	uint64_t deadline;
	struct session_exit exit;
	struct output_mark outputs[2];
	uint8_t reserved3[168];
};

#define SESSION_RECORD_SIZE	1024

_Static_assert(sizeof(struct session_record) == SESSION_RECORD_SIZE, "session_record");
_Static_assert(offsetof(struct session_record, keeper) == 656, "session_record.keeper");
_Static_assert(offsetof(struct session_record, outputs) == 744, "session_record.outputs");

/* Seconds from SIGHUP to SIGKILL, whoever sends them. */
#define SESSION_HANGUP	2

/* @usage: of the program, as of wait4(2). */
void session_exit_usage(struct session_exit *exit, const struct rusage *usage);

/* A new one, in state SESSION_FREE. */
void session_record_init(struct session_record *record, uint64_t number, const char *name);

/* For whoever lists sessions. */
void session_record_arguments(struct session_record *record, char *const *argv);

/* All that is constant is there. */
void session_record_seal(struct session_record *record);

/* Whether it is what some agent of this version has sealed. */
bool session_record_valid(const struct session_record *record);

#endif /* KRINGD_SESSION_RECORD_H */
