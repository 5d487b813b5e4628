// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring: the host's command-line tool.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/**
 * struct command - a sub-command
 * @name: as on the command line
 * @run: does it; an enum tool_status, or TOOL_STATUS()
 * @summary: one line
 * @failed: exit status instead of TOOL_FAILED and TOOL_USAGE, where those may be confused
 *	with that of the guest's program; 0: as they are
 */
static const struct command {
	const char *name;
	int (*run)(int argc, char **argv, struct kring_error *err);
	const char *summary;
	int failed;
} commands[] = {
	{ "exec", cmd_exec, "run a program in the guest", 125 },
	{ "ps", cmd_ps, "list the guest's sessions", 0 },
	{ "attach", cmd_attach, "take up a session that was detached", 125 },
	{ "kill", cmd_kill, "signal sessions", 0 },
	{ "cp", cmd_cp, "copy files to and from the guest", 0 },
	{ "forward", cmd_forward, "forward connections to and from the guest", 0 },
	{ "info", cmd_info, "show what the guest is", 0 },
	{ "ping", cmd_ping, "see how quickly the guest's agent answers", 0 },
	{ "health", cmd_health, "see whether the guest can run programs", 0 },
	{ "log", cmd_log, "show the guest's log", 0 },
	{ "clock", cmd_clock, "show or set the guest's clock", 0 },
	{ "quiesce", cmd_quiesce, "get the guest ready to be saved", 0 },
	{ "thaw", cmd_thaw, "let the guest go on, after it was saved", 0 },
	{ "shutdown", cmd_shutdown, "power the guest off, or reboot it", 0 },
	{ "broker", cmd_broker, "own a region, for many clients", 0 },
	{ "top", cmd_top, "show what goes through a broker", 0 },
	{ "events", cmd_events, "show what happens at a broker", 0 },
	{ "create", cmd_create, "make a region", 0 },
	{ "clone", cmd_clone, "make a restored VM's region of a saved one", 0 },
	{ "stat", cmd_stat, "show what a region holds", 0 },
	{ "cat", cmd_cat, "frames from stdin, frames to stdout", 0 },
	{ }
};

void tool_notice(const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fprintf(stderr, "kring: %s\n", line);
}

/* Say what was wrong, if anything is worth a line. */
static void complain(const char *cmd, int status, const struct kring_error *err)
{
	if (err->text[0])
		fprintf(stderr, "kring: %s\n", err->text);
	if (status == TOOL_USAGE)
		fprintf(stderr, "Try 'kring %s%s--help'.\n", cmd, *cmd ? " " : "");
}

static int exit_status(const struct command *c, int status)
{
	if (status >= TOOL_STATUS(0))
		return status & 0xff;
	return status != TOOL_DONE && c->failed ? c->failed : status;
}

static void print_help(void)
{
	const struct command *c;

	puts("Usage: kring COMMAND [ARGUMENT...]\n\n"
	     "The host's end of a kring: a region of memory shared with a guest.\n");
	for (c = commands; c->name; c++)
		printf("  %-9s %s\n", c->name, c->summary);
	puts("\n'kring COMMAND --help' tells more. 'kring --version' tells the version.\n\n"
	     "Exit status: 0 done, 1 failed, 2 the command line makes no sense.\n"
	     "kring exec and kring attach end as the guest's program does; their --help tells how.");
}

/*
 * Started with stdin, stdout or stderr closed, the region would be opened as that, and be
 * read or written as such. Nothing can be read from or written to what takes their place.
 */
static void hold_stdio(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			abort();
}

/* What was buffered may fail as late as here. */
static int flush_stdout(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	return errno ? -errno : -EIO;
}

int main(int argc, char **argv)
{
	struct kring_error err = { "" };
	const struct command *c;
	int status, code;

	hold_stdio();
	if (argc < 2) {
		tool_usage(&err, "which command?");
		complain("", TOOL_USAGE, &err);
		return TOOL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help();
		return flush_stdout() ? TOOL_FAILED : TOOL_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("kring " KRING_TOOL_VERSION);
		return flush_stdout() ? TOOL_FAILED : TOOL_DONE;
	}

	for (c = commands; c->name; c++)
		if (!strcmp(argv[1], c->name))
			break;
	if (!c->name) {
		tool_usage(&err, "unknown %s %.64s", argv[1][0] == '-' ? "option" : "command",
			   argv[1]);
		complain("", TOOL_USAGE, &err);
		return TOOL_USAGE;
	}

	status = c->run(argc - 1, argv + 1, &err);
	code = flush_stdout();
	if (code && status == TOOL_DONE) {
		snprintf(err.text, sizeof(err.text), "stdout: %s", strerror(-code));
		status = TOOL_FAILED;
	}
	if (status != TOOL_DONE)
		complain(c->name, status, &err);
	return exit_status(c, status);
}
