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

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv, struct kring_error *err);
	const char *summary;
} commands[] = {
	{ "create", cmd_create, "make a region" },
	{ "stat", cmd_stat, "show what a region holds" },
	{ "cat", cmd_cat, "frames from stdin, frames to stdout" },
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

static int fail(const char *cmd, int status, const struct kring_error *err)
{
	if (err->text[0])
		fprintf(stderr, "kring: %s\n", err->text);
	if (status == TOOL_USAGE)
		fprintf(stderr, "Try 'kring %s%s--help'.\n", cmd, *cmd ? " " : "");
	return status;
}

static void print_help(void)
{
	const struct command *c;

	puts("Usage: kring COMMAND [ARGUMENT...]\n\n"
	     "The host's end of a kring: a region of memory shared with a guest.\n");
	for (c = commands; c->name; c++)
		printf("  %-8s %s\n", c->name, c->summary);
	puts("\n'kring COMMAND --help' tells more. 'kring --version' tells the version.\n\n"
	     "Exit status: 0 done, 1 failed, 2 the command line makes no sense.");
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
		return fail("", TOOL_USAGE, &err);
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
		return fail("", TOOL_USAGE, &err);
	}

	status = c->run(argc - 1, argv + 1, &err);
	code = flush_stdout();
	if (code && status == TOOL_DONE) {
		snprintf(err.text, sizeof(err.text), "stdout: %s", strerror(-code));
		status = TOOL_FAILED;
	}
	return status == TOOL_DONE ? status : fail(c->name, status, &err);
}
