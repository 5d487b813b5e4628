// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Sessions of an agent that was killed.
 *
 * Their streams are gone, of which hosts are told by whoever deals with streams. A session
 * of which a host may know goes on as one that is detached: for good, or, where it was not,
 * for as long as its host may take to come back. One that was just being started ends.
 *
 * All of it may have been killed at any moment, keepers too; so nothing is taken for granted
 * but what the record says, and what a keeper holds.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "cgroup.h"
#include "clock.h"
#include "log.h"
#include "process.h"
#include "session_adopt.h"
#include "session_keeper.h"
#include "sessions.h"
#include "store.h"

#define SECOND	1000000000ull

/* Its program, if it is still there; the record alone does not tell. */
static void kill_program(const struct session_record *record)
{
	pid_t pid = kring_load_acquire(&record->pid);
	int pidfd = -1;

	if (pid && !kring_load_acquire(&record->exit.recorded))
		pidfd = process_open(pid, record->forked, clock_now(CLOCK_BOOTTIME));
	if (pidfd >= 0) {
		kill(-pid, SIGKILL);
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		close(pidfd);
	}
	if (record->cgroup)
		cgroup_kill(record->number);
}

/* Its keeper, where that has ended or cannot be asked. */
static void kill_keeper(const struct session_record *record)
{
	pid_t pid = record->keeper & UINT32_MAX;
	int pidfd = -1;

	if (pid > 0)
		pidfd = process_open(pid, record->forked, clock_now(CLOCK_BOOTTIME));
	if (pidfd < 0)
		return;
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	close(pidfd);
}

/*
 * What nobody needs
 */

/* The keeper has gone, so nobody starts a program any more, and nobody uses the record. */
static void scrapped(struct child *child, int status, const struct rusage *usage)
{
	struct session *session = container_of(child, struct session, child);

	(void)status;
	(void)usage;
	kill_program(session->record);
	session_released(session);
}

static void scrap(struct agent *agent, struct session_record *record)
{
	struct session *session;
	struct keeper keeper;
	int pidfd;

	kring_store_release(&record->state, SESSION_OVER);
	pidfd = keeper_find(&keeper, record);
	if (pidfd < 0)
		kill_keeper(record);
	keeper_close(&keeper);
	kill_program(record);
	if (record->cgroup)
		cgroup_remove(record->number);
	session = pidfd < 0 ? NULL : session_new(agent, record);
	if (!session) {
		if (pidfd >= 0)
			close(pidfd);
		store_remove(record);
		return;
	}
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	session->released = true;
	child_watch_foreign(&session->child, &agent->loop, record->keeper & UINT32_MAX, pidfd,
			    scrapped);
}

/*
 * What goes on
 */

/* Its keeper is not there: nor is the agent's end of its files. */
static void adopt_rest(struct session *session)
{
	const struct session_record *record = session->record;

	if (kring_load_acquire(&record->exit.recorded)) {
		session_exited(session);
		return;
	}
	log_warning("session %" PRIu64 ": its keeper was killed, and so it is hung up",
		    record->number);
	session_keeper_lost(session);
	session_end(session);
}

static void adopt_keeper(struct session *session)
{
	struct session_record *record = session->record;
	struct keeper keeper;
	int pidfd = keeper_find(&keeper, record);

	if (pidfd >= 0) {
		log_info("session %" PRIu64 " goes on (pid %d)", record->number,
			 (int)session_pid(session));
		session_keeper_adopt(session, &keeper, pidfd);
		return;
	}
	if (pidfd != -ESRCH) {
		log_error("session %" PRIu64 ": its files cannot be had: %s", record->number,
			  strerror(-pidfd));
		kill_keeper(record);
	}
	adopt_rest(session);
}

/* It was attached: its host shall find it. */
static void give_grace(struct session *session)
{
	uint32_t seconds = session->agent->config.orphan_time;

	session->orphan = true;
	if (seconds)
		loop_timeout(&session->agent->loop, &session->grace, seconds * SECOND);
	else
		session_hang_up(session);
}

static void go_on(struct session *session)
{
	struct session_record *record = session->record;
	uint64_t now = clock_now(CLOCK_MONOTONIC);
	unsigned int i;

	if (record->deadline && !session->exited)
		session_limit(session, record->deadline > now ? record->deadline - now : 1);
	/* Perhaps it was not told yet. */
	if (record->exit.timed_out)
		session_terminate(session);
	if (record->hung_up) {
		record->hung_up = false;
		session_hang_up(session);
		return;
	}
	session_keep_log(session);
	if (!record->durable)
		give_grace(session);
	for (i = 0; i < 2; i++)
		output_pump(&session->outputs[i]);
}

static void adopt(struct agent *agent, struct session_record *record)
{
	struct session *session = session_new(agent, record);
	unsigned int i;

	if (!session) {
		log_error("session %" PRIu64 ": no memory for it", record->number);
		scrap(agent, record);
		return;
	}
	for (i = 0; i < 2; i++)
		if (!output_log_recover(&session->outputs[i].log))
			log_error("session %" PRIu64 ": its log makes no sense", record->number);
	sessions_insert(agent, session);
	adopt_keeper(session);
	go_on(session);
	session_update(session);
}

void sessions_adopt(struct agent *agent)
{
	struct session_record *record;

	for (record = store_next(NULL); record; record = store_next(record)) {
		if (session_record_valid(record)) {
			if (record->state == SESSION_RUNNING)
				adopt(agent, record);
			else
				scrap(agent, record);
			continue;
		}
		log_error("a session of the agent before makes no sense, and ends");
		scrap(agent, record);
	}
}
