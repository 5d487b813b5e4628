// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service exec: start a program. What the request asks for is checked here, so that the child
 * only has to become it; but who the user is the child finds out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "environment.h"
#include "log.h"
#include "services.h"
#include "session_start.h"
#include "session_stream.h"
#include "sessions.h"

#define UMASK		022

/**
 * struct plan - a struct spawn, and what is allocated for it
 * @spawn: what the program is to be
 * @config: configuration
 * @exec: request
 * @identity: user and groups, in the child
 * @argv: arguments
 * @cwd: directory, NULL: the user's home
 * @limits: resource limits
 */
struct plan {
	struct spawn spawn;
	const struct config *config;
	const Kring__Exec *exec;
	struct identity identity;
	char **argv;
	char *cwd;
	struct spawn_limit *limits;
};

static void plan_free(struct plan *plan)
{
	free(plan->limits);
	free(plan->cwd);
	free(plan->argv);
}

static int plan_argv(struct plan *plan, const Kring__Exec *exec, struct failure *failure)
{
	if (!exec->n_argv)
		return failure_set(failure, EINVAL, "argv", "no program");
	plan->argv = strings_new(exec->argv, exec->n_argv, 0);
	if (plan->argv)
		return 0;
	if (errno == EINVAL)
		return failure_set(failure, EINVAL, "argv", "an argument has a NUL in it");
	return failure_errno(failure, errno, "argv", "arguments");
}

static int plan_cwd(struct plan *plan, const Kring__Exec *exec, struct failure *failure)
{
	if (!exec->cwd.len)
		return 0;
	if (memchr(exec->cwd.data, '\0', exec->cwd.len))
		return failure_set(failure, EINVAL, "chdir", "the path has a NUL in it");
	plan->cwd = strndup((char *)exec->cwd.data, exec->cwd.len);
	return plan->cwd ? 0 : failure_errno(failure, ENOMEM, "chdir", "path");
}

/* In the child, which has its own copy of the plan, and ends with it. */
static int plan_identify(struct spawn *spawn, struct failure *failure)
{
	struct plan *plan = container_of(spawn, struct plan, spawn);
	const Kring__Exec *exec = plan->exec;
	int code;

	code = identity_find(&plan->identity, exec->user, exec->groups, exec->n_groups, failure);
	if (code)
		return code;
	spawn->identity = &plan->identity;
	spawn->envp = environment_new(plan->config, &plan->identity, exec, failure);
	return spawn->envp ? 0 : -failure->number;
}

static rlim_t limit_value(uint64_t value)
{
	return value == UINT64_MAX ? RLIM_INFINITY : value;
}

/* The agent may have more open files than programs are used to; then what was asked for. */
static int plan_limits(struct plan *plan, const Kring__Exec *exec, const struct rlimit *files,
		       struct failure *failure)
{
	struct spawn_limit *limit;
	size_t i;

	if (exec->n_rlimits > RLIM_NLIMITS)
		return failure_set(failure, EINVAL, "rlimit", "%zu of them, and there are %d",
				   exec->n_rlimits, RLIM_NLIMITS);
	plan->limits = calloc(exec->n_rlimits + 1, sizeof(*plan->limits));
	if (!plan->limits)
		return failure_errno(failure, ENOMEM, "rlimit", "limits");
	limit = plan->limits;
	if (files->rlim_cur) {
		limit->resource = RLIMIT_NOFILE;
		limit->limit = *files;
		limit++;
	}
	for (i = 0; i < exec->n_rlimits; i++, limit++) {
		limit->resource = exec->rlimits[i]->resource;
		limit->limit.rlim_cur = limit_value(exec->rlimits[i]->soft);
		limit->limit.rlim_max = limit_value(exec->rlimits[i]->hard);
	}
	plan->spawn.limits = plan->limits;
	plan->spawn.limit_count = limit - plan->limits;
	return 0;
}

/* What is allocated is freed by the caller, also on failure. */
static int plan_spawn(struct plan *plan, struct agent *agent, const Kring__Exec *exec,
		      struct failure *failure)
{
	struct spawn *spawn = &plan->spawn;
	int code;

	code = plan_argv(plan, exec, failure);
	if (code)
		return code;
	code = plan_cwd(plan, exec, failure);
	if (code)
		return code;
	code = plan_limits(plan, exec, &agent->sessions->files, failure);
	if (code)
		return code;
	if (exec->umask && (exec->umask->value < 0 || exec->umask->value > 0777))
		return failure_set(failure, EINVAL, "umask", "%#" PRIo64 ": not one",
				   exec->umask->value);
	plan->config = &agent->config;
	plan->exec = exec;
	spawn->argv = plan->argv;
	spawn->identify = plan_identify;
	spawn->cwd = plan->cwd;
	spawn->umask = exec->umask ? exec->umask->value : UMASK;
	return 0;
}

static int exec_start(struct agent *agent, struct kring_stream *stream, const Kring__Exec *exec,
		      struct failure *failure)
{
	struct session *session;
	struct plan plan = { 0 };
	int code;

	code = plan_spawn(&plan, agent, exec, failure);
	if (code)
		goto free_plan;
	session = sessions_add(agent, exec->name, failure);
	if (!session) {
		code = -failure->number;
		goto free_plan;
	}
	code = session_start(session, &plan.spawn, exec, failure);
	if (code) {
		session_release(session);
		goto free_plan;
	}
	session_set_stream(session, stream);
	log_debug("session %" PRIu64 ": exec %.100s as \"%.50s\" (pid %d)", session->record->number,
		  plan.argv[0], exec->user, (int)session->child.pid);
free_plan:
	plan_free(&plan);
	return code;
}

static void exec_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct failure failure;

	if (!exec_start(agent, stream, request, &failure))
		return;
	log_debug("exec refused: %s: %s", failure.step, failure.text);
	kring_reset(stream, failure.number, failure.step, "%s", failure.text);
}

const struct service service_exec = {
	.name = "exec",
	.request = &kring__exec__descriptor,
	.open = exec_open,
};
