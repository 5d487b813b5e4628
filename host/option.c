// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What is wrong with a command line, in words.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

int tool_usage(struct kring_error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return TOOL_USAGE;
}

/**
 * tool_bad_option() - what getopt_long() did not like
 * @opt: what it returned, ':' or '?', given an option string that begins with ':'
 * @argv: as it has left it
 * @err: to fill
 */
int tool_bad_option(int opt, char **argv, struct kring_error *err)
{
	const char *arg = argv[optind - 1];

	if (opt == ':')
		return tool_usage(err, "option %.64s needs an argument", arg);
	if (!optopt)
		return tool_usage(err, "unknown option %.64s", arg);
	if (arg[0] == '-' && arg[1] == '-' && strchr(arg, '='))
		return tool_usage(err, "option %.64s: it takes no argument", arg);
	return tool_usage(err, "unknown option -%c", optopt);
}
