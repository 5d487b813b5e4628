// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring clone: make the region of a restored VM.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "tool.h"

static const char help_text[] =
	"Usage: kring clone [OPTION...] SAVED REGION\n"
	"\n"
	"Make REGION, for a VM that is being restored, a copy of SAVED, which was copied while\n"
	"the first VM was paused. Its generation is one more, and noted as made by a restore:\n"
	"that is how host and guest know. SAVED stays as it is. A REGION that is there already\n"
	"is replaced as a whole; a host that has it open keeps the old file, and is fenced.\n"
	"\n"
	"  -f, --fork     the first VM goes on, or others are restored: a new uuid\n"
	"      --force    also when a process owns SAVED: right while the VM is paused\n"
	"  -v, --verbose  tell what was made\n"
	"  -h, --help     show this\n";

enum { OPTION_FORCE = 256 };

static const struct option options[] = {
	{ "fork", no_argument, NULL, 'f' },
	{ "force", no_argument, NULL, OPTION_FORCE },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static int show(const char *path, bool verbose, struct kring_error *err)
{
	struct kring_stat st;

	if (kring_stat(path, &st, err))
		return TOOL_FAILED;
	if (st.layout.format == KRING_FORMAT_AMRB)
		tool_notice("%s: the AMRB format has neither generation nor uuid: only copied",
			    path);
	else if (verbose)
		printf("%s: name %s, generation %" PRIu64
		       ", in flight h2g %u bytes, g2h %u bytes\n", path, st.layout.name,
		       st.generation, st.h2g.in_flight, st.g2h.in_flight);
	return TOOL_DONE;
}

int cmd_clone(int argc, char **argv, struct kring_error *err)
{
	struct kring_clone_args args = { 0 };
	bool verbose = false;
	int opt;

	while ((opt = getopt_long(argc, argv, ":fvh", options, NULL)) >= 0) {
		switch (opt) {
		case 'f':
			args.fork = true;
			break;
		case OPTION_FORCE:
			args.force = true;
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc - 2)
		return tool_usage(err, "clone: SAVED and REGION are needed, not %d paths",
				  argc - optind);

	if (kring_clone(argv[optind], argv[optind + 1], &args, err))
		return TOOL_FAILED;
	return show(argv[optind + 1], verbose, err);
}
