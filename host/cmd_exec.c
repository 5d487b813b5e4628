// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring exec: run a program in the guest.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "console.h"
#include "terminal.h"
#include "ulimit.h"

static const char help_text[] =
	"Usage: kring exec [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
	"\n"
	"Run PROGRAM in the guest, with its stdout and stderr here, and end as it does. It is\n"
	"looked up in the PATH that it has in the guest.\n"
	"\n"
	"  -i, --interactive       pass stdin on, to its end; else it is /dev/null\n"
	"  -t, --tty               on a terminal of its own; with -i, this one is made raw\n"
	"  -d, --detach            do not wait: print the number of its session\n"
	"      --name NAME         of the session, for kring attach and kring kill\n"
	"      --log-size BYTES    of output kept for kring attach (default 64K with -d)\n"
	"      --detach-keys KEYS  that leave a session of -i -t, and let it go on (default\n"
	"                          " DETACH_KEYS_DEFAULT "; '' for none)\n"
	"  -e, --env NAME[=VALUE]  add to its environment; without =VALUE: that of kring\n"
	"      --clear-env         with nothing else in it\n"
	"  -w, --workdir DIR       to run in (default: the user's home)\n"
	"  -u, --user USER         to run as, name or number (default: that of the agent)\n"
	"      --group GROUP       instead of the user's groups; may be repeated: the first is\n"
	"                          the main one\n"
	"      --umask MODE        octal (default 022)\n"
	"      --ulimit RESOURCE=SOFT[:HARD]\n"
	"                          as in prlimit(1): nofile=1024:4096, core=unlimited ...\n"
	"      --timeout S         send SIGTERM after S seconds\n"
	"      --kill-after S      and SIGKILL S seconds later (default 5)\n"
	"      --on-fork POLICY    what becomes of PROGRAM in a VM that is forked from this one,\n"
	"                          where nobody is at its other end: keep (it waits for kring, as\n"
	"                          after any restore), detach (as with -d) or kill (default keep;\n"
	"                          with -d: detach)\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"INT, TERM, HUP, QUIT, USR1 and USR2 are passed on to PROGRAM and what it has started.\n"
	"With -i -t all keys go to it, and a signal ends kring. Three times INT in a second ends\n"
	"kring as well; so does ctrl-c with -i -t while the connection is lost. When kring ends,\n"
	"or is killed, PROGRAM gets SIGHUP, and SIGKILL soon after; but not with -d.\n"
	"\n"
	CONSOLE_STATUS_HELP;

enum {
	OPTION_NAME = 1,
	OPTION_LOG_SIZE,
	OPTION_DETACH_KEYS,
	OPTION_CLEAR_ENV,
	OPTION_GROUP,
	OPTION_UMASK,
	OPTION_ULIMIT,
	OPTION_TIMEOUT,
	OPTION_KILL_AFTER,
	OPTION_ON_FORK,
};

static const struct option options[] = {
	{ "interactive", no_argument, NULL, 'i' },
	{ "tty", no_argument, NULL, 't' },
	{ "detach", no_argument, NULL, 'd' },
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "log-size", required_argument, NULL, OPTION_LOG_SIZE },
	{ "detach-keys", required_argument, NULL, OPTION_DETACH_KEYS },
	{ "env", required_argument, NULL, 'e' },
	{ "clear-env", no_argument, NULL, OPTION_CLEAR_ENV },
	{ "workdir", required_argument, NULL, 'w' },
	{ "user", required_argument, NULL, 'u' },
	{ "group", required_argument, NULL, OPTION_GROUP },
	{ "umask", required_argument, NULL, OPTION_UMASK },
	{ "ulimit", required_argument, NULL, OPTION_ULIMIT },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "kill-after", required_argument, NULL, OPTION_KILL_AFTER },
	{ "on-fork", required_argument, NULL, OPTION_ON_FORK },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

#define MILLISECOND	1000000ULL

/**
 * struct exec - the command line
 * @client: where the guest is
 * @console: how it is run
 * @request: what is run
 * @umask: for @request
 * @size: for @request
 * @tty: -t
 * @on_fork: --on-fork was given
 * @help: --help
 */
struct exec {
	struct client_args client;
	struct console_args console;
	Kring__Exec request;
	Kring__Number umask;
	Kring__Winsize size;
	bool tty;
	bool on_fork;
	bool help;
};

static ProtobufCBinaryData text_bytes(const char *text)
{
	return (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)text };
}

/* Room for one more element; argc bounds how many there may be. */
static void *grow(void *array, size_t count, size_t size)
{
	return reallocarray(array, count + 1, size);
}

static int out_of_memory(struct kring_error *err)
{
	snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
	return TOOL_FAILED;
}

static int add_env(struct exec *exec, const char *text, struct kring_error *err)
{
	Kring__Exec *request = &exec->request;
	ProtobufCBinaryData *env;
	const char *value;

	if (!*text || *text == '=')
		return tool_usage(err, "--env %.64s: a variable has a name", text);
	if (!strchr(text, '=')) {
		value = getenv(text);
		/* What is not set here is not set there. */
		if (!value)
			return TOOL_DONE;
		/* How glibc keeps it: the value stands behind its name. */
		text = value - strlen(text) - 1;
	}
	env = grow(request->env, request->n_env, sizeof(*env));
	if (!env)
		return out_of_memory(err);
	env[request->n_env++] = text_bytes(text);
	request->env = env;
	return TOOL_DONE;
}

static bool has_env(const Kring__Exec *request, const char *name)
{
	size_t len = strlen(name);
	size_t i;

	for (i = 0; i < request->n_env; i++)
		if (request->env[i].len > len && request->env[i].data[len] == '=' &&
		    !memcmp(request->env[i].data, name, len))
			return true;
	return false;
}

static int add_group(struct exec *exec, char *name, struct kring_error *err)
{
	Kring__Exec *request = &exec->request;
	char **groups = grow(request->groups, request->n_groups, sizeof(*groups));

	if (!groups)
		return out_of_memory(err);
	groups[request->n_groups++] = name;
	request->groups = groups;
	return TOOL_DONE;
}

static int add_ulimit(struct exec *exec, const char *text, struct kring_error *err)
{
	Kring__Exec *request = &exec->request;
	Kring__Rlimit *rlimit;
	void *larger;

	larger = grow(request->rlimits, request->n_rlimits, sizeof(rlimit));
	if (!larger)
		return out_of_memory(err);
	request->rlimits = larger;
	rlimit = malloc(sizeof(*rlimit));
	if (!rlimit)
		return out_of_memory(err);
	kring__rlimit__init(rlimit);
	request->rlimits[request->n_rlimits++] = rlimit;
	if (!ulimit_parse(text, &rlimit->resource, &rlimit->soft, &rlimit->hard))
		return tool_usage(err, "--ulimit %.64s: not RESOURCE=SOFT[:HARD]", text);
	return TOOL_DONE;
}

static int set_umask(struct exec *exec, const char *text, struct kring_error *err)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || mode > 0777)
		return tool_usage(err, "--umask %.64s: not an octal number up to 777", text);
	kring__number__init(&exec->umask);
	exec->umask.value = mode;
	exec->request.umask = &exec->umask;
	return TOOL_DONE;
}

static int set_seconds(uint64_t *nanoseconds, const char *option, const char *text,
		       struct kring_error *err)
{
	uint64_t milliseconds;

	if (!parse_milliseconds(text, &milliseconds))
		return tool_usage(err, "%s %.64s: not a number of seconds", option, text);
	*nanoseconds = milliseconds * MILLISECOND;
	return TOOL_DONE;
}

static int set_on_fork(struct exec *exec, const char *text, struct kring_error *err)
{
	static const char *const policies[] = {
		[KRING__FORK_POLICY__KEEP] = "keep",
		[KRING__FORK_POLICY__DETACH] = "detach",
		[KRING__FORK_POLICY__KILL] = "kill",
	};
	unsigned int i;

	exec->on_fork = true;
	for (i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
		if (!strcmp(text, policies[i])) {
			exec->console.on_fork = i;
			return TOOL_DONE;
		}
	}
	return tool_usage(err, "--on-fork %.64s: not keep, detach or kill", text);
}

static int take_option(struct exec *exec, int opt, char **argv, struct kring_error *err)
{
	Kring__Exec *request = &exec->request;
	int code;

	switch (opt) {
	case 'i':
		exec->console.with_stdin = true;
		request->stdin = true;
		return TOOL_DONE;
	case 't':
		exec->tty = true;
		return TOOL_DONE;
	case 'd':
		exec->console.detach = true;
		request->detach = true;
		if (!exec->on_fork)
			exec->console.on_fork = KRING__FORK_POLICY__DETACH;
		return TOOL_DONE;
	case OPTION_NAME:
		request->name = optarg;
		return TOOL_DONE;
	case OPTION_LOG_SIZE:
		if (!parse_bytes(optarg, &request->log_size))
			return tool_usage(err, "--log-size %.64s: not a size", optarg);
		return TOOL_DONE;
	case OPTION_DETACH_KEYS:
		if (!detach_keys_parse(&exec->console.keys, optarg))
			return tool_usage(err, "--detach-keys %.64s: not as in '%s'", optarg,
					  DETACH_KEYS_DEFAULT);
		return TOOL_DONE;
	case 'e':
		return add_env(exec, optarg, err);
	case OPTION_CLEAR_ENV:
		request->clear_env = true;
		return TOOL_DONE;
	case 'w':
		request->cwd = text_bytes(optarg);
		return TOOL_DONE;
	case 'u':
		request->user = optarg;
		return TOOL_DONE;
	case OPTION_GROUP:
		return add_group(exec, optarg, err);
	case OPTION_UMASK:
		return set_umask(exec, optarg, err);
	case OPTION_ULIMIT:
		return add_ulimit(exec, optarg, err);
	case OPTION_TIMEOUT:
		return set_seconds(&request->timeout, "--timeout", optarg, err);
	case OPTION_KILL_AFTER:
		return set_seconds(&request->kill_after, "--kill-after", optarg, err);
	case OPTION_ON_FORK:
		return set_on_fork(exec, optarg, err);
	case 'h':
		exec->help = true;
		return TOOL_DONE;
	}
	code = client_option(&exec->client, opt, optarg, err);
	if (code)
		return code < 0 ? TOOL_USAGE : TOOL_DONE;
	return tool_bad_option(opt, argv, err);
}

static int take_program(struct exec *exec, int count, char **argv, struct kring_error *err)
{
	Kring__Exec *request = &exec->request;
	int i;

	if (!count)
		return tool_usage(err, "exec: which program?");
	request->argv = calloc(count, sizeof(*request->argv));
	if (!request->argv)
		return out_of_memory(err);
	for (i = 0; i < count; i++)
		request->argv[i] = text_bytes(argv[i]);
	request->n_argv = count;
	return TOOL_DONE;
}

static int take_terminal(struct exec *exec, struct kring_error *err)
{
	if (exec->console.detach && exec->console.with_stdin)
		return tool_usage(err, "exec: -d leaves the program, so -i cannot be");
	if (!exec->tty)
		return TOOL_DONE;
	if (exec->console.with_stdin && !isatty(STDIN_FILENO)) {
		snprintf(err->text, sizeof(err->text), "exec: -i -t: stdin is not a terminal");
		return TOOL_FAILED;
	}
	kring__winsize__init(&exec->size);
	if (!terminal_size(&exec->size.rows, &exec->size.columns)) {
		exec->size.rows = 24;
		exec->size.columns = 80;
	}
	exec->request.tty = &exec->size;
	/* Its escapes end up on this terminal. */
	if (getenv("TERM") && !has_env(&exec->request, "TERM"))
		return add_env(exec, "TERM", err);
	return TOOL_DONE;
}

static void exec_free(struct exec *exec)
{
	size_t i;

	for (i = 0; i < exec->request.n_rlimits; i++)
		free(exec->request.rlimits[i]);
	free(exec->request.rlimits);
	free(exec->request.groups);
	free(exec->request.env);
	free(exec->request.argv);
}

int cmd_exec(int argc, char **argv, struct kring_error *err)
{
	struct exec exec = {
		.client = CLIENT_ARGS_INIT,
		.console = { .service = "exec" },
		.request = KRING__EXEC__INIT,
	};
	int status = TOOL_DONE;
	int opt;

	exec.console.request = &exec.request.base;
	detach_keys_parse(&exec.console.keys, DETACH_KEYS_DEFAULT);
	while (!status && (opt = getopt_long(argc, argv, "+:itde:w:u:h", options, NULL)) >= 0)
		status = take_option(&exec, opt, argv, err);
	if (exec.help) {
		fputs(help_text, stdout);
		goto free_exec;
	}
	if (!status)
		status = take_program(&exec, argc - optind, argv + optind, err);
	if (!status)
		status = take_terminal(&exec, err);
	if (!status)
		status = console_run(&exec.client, &exec.console, err);
free_exec:
	exec_free(&exec);
	return status;
}
