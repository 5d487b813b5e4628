// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring create: make a region.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const char help_text[] =
	"Usage: kring create [OPTION...] REGION\n"
	"\n"
	"Make a region in a new file, REGION, with mode 0600. The file appears whole or not\n"
	"at all, and one that is there already stays as it is.\n"
	"\n"
	"  -s, --size BYTES     of the whole region (default 4M)\n"
	"  -n, --name NAME      1 to 31 of [A-Za-z0-9._-] (default \"default\"); the doorbell is\n"
	"                       the console port kring.NAME\n"
	"  -f, --format FORMAT  native (the default), or amrb: version 4 of Kalahari's format,\n"
	"                       which has no name (the doorbell is kring.amrb) and no granule\n"
	"  -g, --granule BYTES  4K, 16K or 64K: at least the guest's page size (default 4K)\n"
	"  -v, --verbose        tell what was made\n"
	"  -h, --help           show this\n"
	"\n"
	"BYTES is a decimal number, K, M or G may follow.\n";

static const struct option options[] = {
	{ "size", required_argument, NULL, 's' },
	{ "name", required_argument, NULL, 'n' },
	{ "format", required_argument, NULL, 'f' },
	{ "granule", required_argument, NULL, 'g' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static int show(const char *path, struct kring_error *err)
{
	struct kring_stat st;

	if (kring_stat(path, &st, err))
		return TOOL_FAILED;
	printf("%s: name %s, %" PRIu64 " bytes, granule %u, h2g %u bytes, g2h %u bytes\n", path,
	       st.layout.name, (uint64_t)st.layout.region_size, st.layout.granule, st.h2g.size,
	       st.g2h.size);
	return TOOL_DONE;
}

int cmd_create(int argc, char **argv, struct kring_error *err)
{
	struct kring_create_args args = { 0 };
	bool verbose = false;
	uint64_t bytes;
	int opt;

	while ((opt = getopt_long(argc, argv, ":s:n:f:g:vh", options, NULL)) >= 0) {
		switch (opt) {
		case 's':
			if (!parse_bytes(optarg, &args.size))
				return tool_usage(err, "--size %.64s: not a size", optarg);
			break;
		case 'n':
			args.name = optarg;
			break;
		case 'f':
			if (!strcmp(optarg, "amrb"))
				args.format = KRING_FORMAT_AMRB;
			else if (strcmp(optarg, "native"))
				return tool_usage(err, "--format %.64s: neither native nor amrb",
						  optarg);
			break;
		case 'g':
			if (!parse_bytes(optarg, &bytes) || bytes > UINT32_MAX)
				return tool_usage(err, "--granule %.64s: not a granule", optarg);
			args.granule = bytes;
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
	if (optind != argc - 1)
		return tool_usage(err, "create: one REGION is needed, not %d", argc - optind);

	if (kring_create(argv[optind], &args, err))
		return TOOL_FAILED;
	return verbose ? show(argv[optind], err) : TOOL_DONE;
}
