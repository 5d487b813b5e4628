// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One hook: its process, its output, its time.
 *
 * Whatever it does, it comes to an end for whoever has started it: one that even SIGKILL does
 * not end, as it hangs in the kernel, is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "environment.h"
#include "helper.h"
#include "hook.h"
#include "logpipe.h"
#include "sessions.h"
#include "spawn.h"

#define SECOND		1000000000ull

/* From SIGTERM to SIGKILL, and from there until it is left behind. */
#define PATIENCE	(5 * SECOND)

#define UMASK		022

enum hook_stage {
	HOOK_RUNS,
	HOOK_TERMINATED,
	HOOK_KILLED,
	HOOK_LEFT,
};

/**
 * struct hook - one
 * @agent: agent
 * @child: its process
 * @stage: what was done to end it
 * @late: its time was over
 * @time: nanoseconds that it had
 * @limit: waits for its time, then for what is done to end it to do so
 * @output: what it prints
 * @report: says whether it could be executed
 * @done: as of struct hook_args, NULL: it was told
 * @owner: its
 * @label: what the log calls it
 */
struct hook {
	struct agent *agent;
	struct child child;
	enum hook_stage stage;
	bool late;
	uint64_t time;
	struct loop_op limit;
	struct logpipe output;
	int report;
	void (*done)(void *owner, const struct hook_result *result);
	void *owner;
	char label[300];
};

/* Its program, in the making. */
struct hook_plan {
	struct spawn spawn;
	struct identity identity;
	const struct config *config;
	Kring__Exec exec;
};

static void hook_put(struct hook *hook)
{
	if (hook->child.pid || hook->limit.busy || hook->output.over)
		return;
	if (hook->report >= 0)
		close(hook->report);
	free(hook);
}

static void hook_output_over(struct logpipe *pipe)
{
	struct hook *hook = container_of(pipe, struct hook, output);

	pipe->over = NULL;
	hook_put(hook);
}

static void hook_tell(struct hook *hook, const struct hook_result *result)
{
	void (*done)(void *owner, const struct hook_result *result) = hook->done;

	hook->done = NULL;
	if (done)
		done(hook->owner, result);
}

/*
 * Its end
 */

static void hook_signal(struct hook *hook, int signal)
{
	if (!hook->child.pid)
		return;
	/* It may not have made its process group yet. */
	if (kill(-hook->child.pid, signal))
		kill(hook->child.pid, signal);
}

static void hook_terminate(struct hook *hook)
{
	hook->stage = HOOK_TERMINATED;
	hook_signal(hook, SIGTERM);
	/* Or it would not notice. */
	hook_signal(hook, SIGCONT);
}

static void hook_result(const struct hook *hook, int status, struct hook_result *result)
{
	const char *before = hook->stage == HOOK_RUNS ? "" : "it was stopped, and ";
	struct failure failure;
	char how[64];
	int code;

	memset(result, 0, sizeof(*result));
	code = spawn_report(hook->report, &failure);
	if (code && code != -EAGAIN) {
		result->refused = true;
		snprintf(result->text, sizeof(result->text), "%s", failure.text);
		return;
	}
	result->ok = !status && hook->stage == HOOK_RUNS;
	result->refused = hook->stage == HOOK_RUNS && status != -1 && WIFEXITED(status);
	helper_status_text(status, how, sizeof(how));
	if (hook->late)
		snprintf(result->text, sizeof(result->text), "not done in %llu s, and %s",
			 hook->time / SECOND, how);
	else
		snprintf(result->text, sizeof(result->text), "%s%s", before, how);
}

static void hook_ended(struct child *child, int status, const struct rusage *usage)
{
	struct hook *hook = container_of(child, struct hook, child);
	struct hook_result result;

	(void)usage;
	loop_cancel(&hook->agent->loop, &hook->limit);
	/* Where the agent's run is over, nobody would read what is printed from now on. */
	logpipe_finish(&hook->output, hook->agent->sessions);
	hook_result(hook, status, &result);
	/* Freed when the output is over. */
	hook_tell(hook, &result);
}

/* Its time is over; or it was cancelled by hook_stop(), and what follows has its time. */
static void hook_limit(struct loop_op *op, int result)
{
	static const struct hook_result left = { .text = "not even SIGKILL ends it" };
	struct hook *hook = container_of(op, struct hook, limit);

	if (!hook->child.pid) {
		hook_put(hook);
		return;
	}
	if (!result) {
		switch (hook->stage) {
		case HOOK_RUNS:
			hook->late = true;
			hook_terminate(hook);
			break;
		case HOOK_TERMINATED:
			hook->stage = HOOK_KILLED;
			hook_signal(hook, SIGKILL);
			break;
		default:
			hook->stage = HOOK_LEFT;
			hook_tell(hook, &left);
			return;
		}
	}
	loop_timeout(&hook->agent->loop, op, PATIENCE);
}

void hook_stop(struct hook *hook)
{
	if (hook->stage != HOOK_RUNS)
		return;
	hook_terminate(hook);
	loop_cancel(&hook->agent->loop, &hook->limit);
}

/*
 * Its beginning
 */

/* In the child: as the agent's own user, with the environment of a session. */
static int hook_identify(struct spawn *spawn, struct failure *failure)
{
	struct hook_plan *plan = container_of(spawn, struct hook_plan, spawn);
	int code;

	code = identity_find(&plan->identity, "", NULL, 0, failure);
	if (code)
		return code;
	spawn->identity = &plan->identity;
	spawn->envp = environment_new(plan->config, &plan->identity, &plan->exec, failure);
	return spawn->envp ? 0 : -failure->number;
}

static pid_t hook_spawn(struct hook *hook, const struct hook_args *args, const int *files,
			struct failure *failure)
{
	char *argv[] = { (char *)args->path, NULL };
	const struct sessions *sessions = hook->agent->sessions;
	struct spawn_limit limit = { .resource = RLIMIT_NOFILE };
	struct hook_plan plan = { .config = &hook->agent->config, .exec = KRING__EXEC__INIT };
	ProtobufCBinaryData *env;
	size_t i;
	pid_t pid;

	env = calloc(args->env_count + 1, sizeof(*env));
	if (!env)
		return failure_errno(failure, ENOMEM, "hook", args->label);
	for (i = 0; i < args->env_count; i++) {
		env[i].data = (uint8_t *)args->env[i];
		env[i].len = strlen(args->env[i]);
	}
	if (sessions)
		limit.limit = sessions->files;
	plan.exec.env = env;
	plan.exec.n_env = args->env_count;
	plan.spawn = (struct spawn){
		.argv = argv, .identify = hook_identify, .cwd = "/", .umask = UMASK,
		.limits = &limit, .limit_count = limit.limit.rlim_cur ? 1 : 0,
		.files = { files[0], files[1], files[1] }, .cgroup = -1,
	};
	pid = spawn_start(&plan.spawn, &hook->report, failure);
	free(env);
	return pid;
}

/* The report's end, and the process, if it could be made: 0 or a negative errno. */
static int hook_run(struct hook *hook, const struct hook_args *args, int output,
		    struct failure *failure)
{
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC), code;
	const int files[2] = { input, output };
	pid_t pid;

	if (input < 0)
		return failure_errno(failure, errno, "hook", "/dev/null");
	pid = hook_spawn(hook, args, files, failure);
	close(input);
	if (pid < 0)
		return pid;
	code = child_watch(&hook->child, &hook->agent->loop, pid, hook_ended);
	if (!code)
		return 0;
	close(hook->report);
	hook->report = -1;
	return failure_errno(failure, -code, "hook", "pidfd");
}

int hook_start(struct hook **to, struct agent *agent, const struct hook_args *args,
	       struct failure *failure)
{
	struct hook *hook = calloc(1, sizeof(*hook));
	int output, code;

	if (!hook)
		return failure_errno(failure, ENOMEM, "hook", args->label);
	hook->agent = agent;
	hook->report = -1;
	hook->time = args->limit;
	hook->limit.done = hook_limit;
	hook->done = args->done;
	hook->owner = args->owner;
	snprintf(hook->label, sizeof(hook->label), "%s", args->label);
	output = logpipe_start(&hook->output, &agent->loop, hook->label, hook_output_over);
	if (output < 0) {
		free(hook);
		return failure_errno(failure, -output, "hook", "pipe");
	}
	code = hook_run(hook, args, output, failure);
	close(output);
	if (code) {
		hook->done = NULL;
		logpipe_finish(&hook->output, false);
		return code;
	}
	loop_timeout(&agent->loop, &hook->limit, hook->time);
	*to = hook;
	return 0;
}
