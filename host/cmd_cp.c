// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: copy files to and from the guest.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "copy.h"

static const char help_text[] =
	"Usage: kring cp [OPTION...] SOURCE... :DESTINATION\n"
	"       kring cp [OPTION...] :SOURCE... DESTINATION\n"
	"\n"
	"Copy files between the host and the guest. Paths that begin with a colon are the\n"
	"guest's, relative ones from /; the others are the host's, and - is stdin or stdout.\n"
	"Where DESTINATION is a directory, files get their names in it; with several SOURCEs it\n"
	"must be one. A file appears whole, or not at all. Permissions, modification times and\n"
	"holes are kept; files from the guest lose the permissions of the umask.\n"
	"\n"
	"  -r, --recursive         copy directories with all that is in them; symlinks as such\n"
	"  -p, --owner             keep numbers of user and group, and setuid, setgid and sticky\n"
	"                          bits, too; from a guest that is not trusted, do not\n"
	"      --resume            keep what has arrived when this is interrupted, and go on from\n"
	"                          what an earlier --resume has left of the same files\n"
	"  -q, --quiet             show no progress, not even on a terminal\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"Exit status: 0 all was copied, 1 something was not, 2 the command line makes no sense.\n";

enum {
	OPTION_RESUME = 1,
};

static const struct option options[] = {
	{ "recursive", no_argument, NULL, 'r' },
	{ "owner", no_argument, NULL, 'p' },
	{ "resume", no_argument, NULL, OPTION_RESUME },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	CLIENT_OPTIONS,
	{ }
};

/* Whether the sources are the guest's, in @from_guest: 0 or TOOL_USAGE. */
static int find_direction(char **paths, int count, bool *from_guest, struct kring_error *err)
{
	const char *target = paths[count - 1];
	int i;

	*from_guest = paths[0][0] == ':';
	for (i = 0; i < count; i++)
		if (!*paths[i])
			return tool_usage(err, "cp: an empty path");
	for (i = 1; i < count - 1; i++)
		if ((paths[i][0] == ':') != *from_guest)
			return tool_usage(err, "cp: some sources are here and some in the guest");
	if (*from_guest && target[0] == ':')
		return tool_usage(err, "cp: from the guest to the guest: one side must be here");
	if (!*from_guest && target[0] != ':')
		return tool_usage(err, "cp: which side is the guest's? Put a colon before it");
	if (*from_guest)
		for (i = 0; i < count - 1; i++)
			paths[i]++;
	return 0;
}

static int run(struct copy *copy, const struct client_args *args, char **paths, int count,
	       bool from_guest, bool quiet)
{
	if (client_open(&copy->client, args, copy->err))
		return TOOL_FAILED;
	if (!quiet)
		progress_start(&copy->progress, client_loop(copy->client));
	if (from_guest)
		copy_from_guest(copy, paths, count - 1, paths[count - 1]);
	else
		copy_to_guest(copy, paths, count - 1, paths[count - 1] + 1);
	progress_stop(&copy->progress);
	client_close(copy->client);
	return copy->failed ? TOOL_FAILED : TOOL_DONE;
}

int cmd_cp(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	struct copy copy = { .err = err };
	bool from_guest, quiet = false;
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":rpqh", options, NULL)) >= 0) {
		code = client_option(&args, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		switch (opt) {
		case 'r':
			copy.recursive = true;
			break;
		case 'p':
			copy.owner = true;
			break;
		case OPTION_RESUME:
			copy.resume = true;
			break;
		case 'q':
			quiet = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (argc - optind < 2)
		return tool_usage(err, "cp: a source and a destination are needed");
	if (find_direction(argv + optind, argc - optind, &from_guest, err))
		return TOOL_USAGE;

	copy.umask = umask(0);
	umask(copy.umask);
	/* Whoever reads our stdout may go: that is an error like others. */
	signal(SIGPIPE, SIG_IGN);
	return run(&copy, &args, argv + optind, argc - optind, from_guest, quiet);
}
