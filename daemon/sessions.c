// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * All sessions. A durable one that has ended stays until a host has taken its result, or
 * until there is no place for new ones.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "clock.h"
#include "keeper.h"
#include "leftover.h"
#include "log.h"
#include "session_adopt.h"
#include "sessions.h"
#include "store.h"

/* What programs have to end in, when kringd does. */
#define FINI_MS		2000

/* There is one agent. Operations may be under way when it has gone: it is not malloc()ed. */
static struct sessions sessions;

/* Each session takes up to four descriptors, and a program what it has been used to. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &sessions.files)) {
		sessions.files.rlim_cur = 0;
		return;
	}
	limit = sessions.files;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("open files are limited to %" PRIu64 ": %s",
			    (uint64_t)sessions.files.rlim_cur, strerror(errno));
}

/* Whether a cgroup is that of a session of the agent before. */
static bool is_known(uint64_t number)
{
	const struct session_record *record;

	for (record = store_next(NULL); record; record = store_next(record))
		if (record->number == number)
			return true;
	return false;
}

int sessions_init(struct agent *agent)
{
	int code;

	TAILQ_INIT(&sessions.list);
	agent->sessions = &sessions;
	output_log_limit(agent->config.memory_max);
	raise_files();
	code = reaper_init(&agent->loop);
	if (code)
		return code;
	code = store_init(agent->config.sessions_max);
	if (code)
		goto fini_reaper;
	sessions.last = cgroup_init(is_known);
	if (sessions.last < store_last())
		sessions.last = store_last();
	if (store_is_kept()) {
		/* What is mapped into a keeper is not freed when this process is killed. */
		io_uring_ring_dontfork(&agent->loop.ring);
		keeper_init();
		sessions_adopt(agent);
		leftover_init(&agent->loop);
	}
	return 0;

fini_reaper:
	reaper_fini(&agent->loop);
	return code;
}

static int64_t now_ms(void)
{
	return clock_now(CLOCK_MONOTONIC) / 1000000;
}

static bool must_end(const struct session *session)
{
	return !session->exited && !session->record->durable;
}

/* Becomes ready when the program has ended. */
static int end_of(const struct session *session)
{
	return session->kept ? session->over : session->child.pidfd;
}

static void kill_those_that_must(void)
{
	int64_t deadline = now_ms() + FINI_MS, left;
	struct session *session;
	struct pollfd pfd;

	TAILQ_FOREACH(session, &sessions.list, list) {
		if (!must_end(session))
			continue;
		session_signal(session, SIGHUP);
		session_signal(session, SIGCONT);
	}
	TAILQ_FOREACH(session, &sessions.list, list) {
		if (!must_end(session))
			continue;
		pfd = (struct pollfd){ .fd = end_of(session), .events = POLLIN };
		left = deadline - now_ms();
		if (poll(&pfd, 1, left > 0 ? left : 0) > 0)
			continue;
		session_kill(session);
	}
}

/* What needs no host goes on, or its result waits. */
static void leave_or_release(struct session *session)
{
	const struct session_record *record = session->record;

	if (!record->durable || (session->exited && !session->kept)) {
		session_release(session);
		return;
	}
	if (!session->exited)
		log_info("session %" PRIu64 " goes on without an agent (pid %d)", record->number,
			 (int)session_pid(session));
	session_leave(session);
}

void sessions_fini(struct agent *agent)
{
	struct session *session;
	bool failed;

	if (!agent->sessions)
		return;
	/* One that could not do its work shall not keep the next one from it. */
	failed = !agent->loop.stopping && store_is_kept();
	if (!failed)
		kill_those_that_must();
	while ((session = TAILQ_FIRST(&sessions.list))) {
		if (failed)
			session_leave(session);
		else
			leave_or_release(session);
	}
	leftover_fini(&agent->loop);
	reaper_fini(&agent->loop);
	cgroup_fini();
	agent->sessions = NULL;
}

/* An ended one goes, where there is one. */
static bool make_place(void)
{
	struct session *session;

	TAILQ_FOREACH(session, &sessions.list, list) {
		if (!session->exited || session->stream || session->told)
			continue;
		log_info("session %" PRIu64 ": its result is dropped, as nobody has taken it",
			 session->record->number);
		session_release(session);
		return true;
	}
	return false;
}

static struct session *find_name(const char *name)
{
	struct session *session;

	TAILQ_FOREACH(session, &sessions.list, list)
		if (*session->record->name && !strcmp(session->record->name, name))
			return session;
	return NULL;
}

static bool find_number(const char *text, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !*end && !errno;
}

static int check_name(const char *name, struct failure *failure)
{
	const struct session *other;
	const char *c;

	if (strlen(name) > SESSION_NAME_MAX)
		return failure_set(failure, EINVAL, "name", "longer than %d characters",
				   SESSION_NAME_MAX);
	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
			return failure_set(failure, EINVAL, "name",
					   "\"%s\": only letters, digits, \"-\", \"_\" and \".\"",
					   name);
	if (name[strspn(name, "0123456789")] == '\0')
		return failure_set(failure, EINVAL, "name", "%s: digits alone are a number",
				   name);
	other = find_name(name);
	if (other)
		return failure_set(failure, EEXIST, "name", "%s: session %" PRIu64 " %s", name,
				   other->record->number, other->exited ?
				   "has ended, and nobody has taken its result" : "has it");
	return 0;
}

void sessions_insert(struct agent *agent, struct session *session)
{
	struct session *next = sessions_after(agent, session->record->number);

	sessions.count++;
	if (next)
		TAILQ_INSERT_BEFORE(next, session, list);
	else
		TAILQ_INSERT_TAIL(&sessions.list, session, list);
}

struct session *sessions_add(struct agent *agent, const char *name, struct failure *failure)
{
	uint32_t max = agent->config.sessions_max;
	struct session_record *record;
	struct session *session;

	if (*name && check_name(name, failure))
		return NULL;
	if (sessions.count >= max && !make_place()) {
		failure_set(failure, EAGAIN, "sessions", "%u run, and no more are allowed",
			    sessions.count);
		return NULL;
	}
	record = store_add();
	if (!record) {
		failure_set(failure, EAGAIN, "sessions", "there is no record for one more");
		return NULL;
	}
	session_record_init(record, ++sessions.last, name);
	session = session_new(agent, record);
	if (!session) {
		store_remove(record);
		failure_errno(failure, ENOMEM, "sessions", "a new one");
		return NULL;
	}
	store_set_last(sessions.last);
	sessions_insert(agent, session);
	return session;
}

struct session *sessions_find(struct agent *agent, const char *which, struct failure *failure)
{
	struct session *session = NULL;
	uint64_t number;

	if (find_number(which, &number) && number)
		session = sessions_after(agent, number - 1);
	if (session && session->record->number != number)
		session = NULL;
	if (!session && *which)
		session = find_name(which);
	if (!session)
		failure_set(failure, ENOENT, "session", "%.100s: there is none", which);
	return session;
}

struct session *sessions_after(struct agent *agent, uint64_t number)
{
	struct session *session;

	(void)agent;
	TAILQ_FOREACH(session, &sessions.list, list)
		if (session->record->number > number)
			return session;
	return NULL;
}

unsigned int sessions_count(const struct agent *agent)
{
	return agent->sessions ? agent->sessions->count : 0;
}
