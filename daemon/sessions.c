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
#include <time.h>

#include "cgroup.h"
#include "leftover.h"
#include "log.h"
#include "sessions.h"

#define NAME_MAX_LEN	64

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
	sessions.last = cgroup_init();
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool must_end(const struct session *session)
{
	return session->pid && !session->durable;
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
		pfd = (struct pollfd){ .fd = session->child.pidfd, .events = POLLIN };
		left = deadline - now_ms();
		if (poll(&pfd, 1, left > 0 ? left : 0) > 0)
			continue;
		session_signal(session, SIGKILL);
		if (session->cgroup)
			cgroup_kill(session->number);
	}
}

void sessions_fini(struct agent *agent)
{
	struct session *session;

	if (!agent->sessions)
		return;
	kill_those_that_must();
	while ((session = TAILQ_FIRST(&sessions.list))) {
		if (session->durable && session->pid)
			log_info("session %" PRIu64 " goes on without an agent (pid %d)",
				 session->number, (int)session->pid);
		if (session->durable)
			child_abandon(&session->child);
		session_release(session);
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
		if (!session->exited || session->stream)
			continue;
		log_info("session %" PRIu64 ": its result is dropped, as nobody has taken it",
			 session->number);
		session_release(session);
		return true;
	}
	return false;
}

static struct session *find_name(const char *name)
{
	struct session *session;

	TAILQ_FOREACH(session, &sessions.list, list)
		if (session->name && !strcmp(session->name, name))
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

	if (strlen(name) > NAME_MAX_LEN)
		return failure_set(failure, EINVAL, "name", "longer than %d characters",
				   NAME_MAX_LEN);
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
				   other->number, other->exited ?
				   "has ended, and nobody has taken its result" : "has it");
	return 0;
}

struct session *sessions_add(struct agent *agent, const char *name, struct failure *failure)
{
	uint32_t max = agent->config.sessions_max;
	struct session *session;

	if (*name && check_name(name, failure))
		return NULL;
	if (sessions.count >= max && !make_place()) {
		failure_set(failure, EAGAIN, "sessions", "%u run, and no more are allowed",
			    sessions.count);
		return NULL;
	}
	session = session_new(agent, sessions.last + 1);
	if (!session)
		goto no_memory;
	if (*name) {
		session->name = strdup(name);
		if (!session->name)
			goto free_session;
	}
	sessions.last++;
	sessions.count++;
	TAILQ_INSERT_TAIL(&sessions.list, session, list);
	return session;

free_session:
	free(session);
no_memory:
	failure_errno(failure, ENOMEM, "sessions", "a new one");
	return NULL;
}

struct session *sessions_find(struct agent *agent, const char *which, struct failure *failure)
{
	struct session *session = NULL;
	uint64_t number;

	if (find_number(which, &number) && number)
		session = sessions_after(agent, number - 1);
	if (session && session->number != number)
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
		if (session->number > number)
			return session;
	return NULL;
}

unsigned int sessions_count(const struct agent *agent)
{
	return agent->sessions ? agent->sessions->count : 0;
}
