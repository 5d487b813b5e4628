// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring stat: show what a region holds.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "tool.h"

static const char help_text[] =
	"Usage: kring stat [OPTION...] REGION\n"
	"\n"
	"Show the header and both rings of REGION, which may be in use, or be a copy.\n"
	"Nothing in it is changed. The exit status is 1 when a ring's cursors make no sense;\n"
	"all the rest is shown nevertheless.\n"
	"\n"
	"  -j, --json  as one JSON object\n"
	"  -h, --help  show this\n";

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

#define UUID_TEXT	37

static void uuid_format(const uint8_t *uuid, char *text)
{
	int i;

	for (i = 0; i < KRING_UUID_LEN; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		text += sprintf(text, "%02x", uuid[i]);
	}
}

static bool is_amrb(const struct kring_stat *st)
{
	return st->layout.format == KRING_FORMAT_AMRB;
}

static unsigned int version(const struct kring_stat *st)
{
	return is_amrb(st) ? KRING_AMRB_VERSION : KRING_VERSION;
}

static void show_ring(const char *name, const struct kring_ring_stat *r)
{
	printf("%-11s size %u, head %u, tail %u, in flight %u, want_space %u, want_data %u%s\n",
	       name, r->size, r->head, r->tail, r->in_flight, r->want_space, r->want_data,
	       r->corrupt ? ", CORRUPT" : "");
}

static void show(const struct kring_stat *st)
{
	char uuid[UUID_TEXT];

	uuid_format(st->uuid, uuid);
	printf("format      %s, version %u\n", is_amrb(st) ? "amrb" : "native", version(st));
	printf("name        %s\n", st->layout.name);
	if (!is_amrb(st)) {
		printf("uuid        %s\n", uuid);
		printf("generation  %" PRIu64 "\n", st->generation);
		if (st->restored)
			printf("restored    by generation %" PRIu64 "\n", st->restored);
		else
			printf("restored    never\n");
		printf("granule     %u\n", st->layout.granule);
		printf("features    0x%" PRIx64 "\n", st->features);
	}
	printf("size        %" PRIu64 "\n", (uint64_t)st->layout.region_size);
	if (st->owner > 0)
		printf("owner       pid %d\n", (int)st->owner);
	else
		printf("owner       %s\n", st->owner ? "unknown" : "nobody");
	show_ring("h2g", &st->h2g);
	show_ring("g2h", &st->g2h);
}

static void show_ring_json(const char *name, const struct kring_ring_stat *r)
{
	printf("\"%s\": {\"size\": %u, \"offset\": %" PRIu64, name, r->size, r->offset);
	printf(", \"head\": %u, \"tail\": %u, \"in_flight\": %u", r->head, r->tail, r->in_flight);
	printf(", \"want_space\": %u, \"want_data\": %u", r->want_space, r->want_data);
	printf(", \"corrupt\": %s}", r->corrupt ? "true" : "false");
}

/* No string here needs an escape: the name has none but [A-Za-z0-9._-]. */
static void show_json(const struct kring_stat *st)
{
	char uuid[UUID_TEXT];

	uuid_format(st->uuid, uuid);
	printf("{\"format\": \"%s\", ", is_amrb(st) ? "amrb" : "native");
	printf("\"name\": \"%s\", \"uuid\": \"%s\", \"version\": %u, \"generation\": %" PRIu64
	       ", \"restored\": %" PRIu64, st->layout.name, uuid, version(st), st->generation,
	       st->restored);
	printf(", \"granule\": %u, \"features\": %" PRIu64 ", \"region_size\": %" PRIu64 ", ",
	       st->layout.granule, st->features, (uint64_t)st->layout.region_size);
	if (st->owner > 0)
		printf("\"owner\": %d, ", (int)st->owner);
	else
		printf("\"owner\": null, ");
	show_ring_json("h2g", &st->h2g);
	printf(", ");
	show_ring_json("g2h", &st->g2h);
	printf("}\n");
}

static int fail_corrupt(const char *path, const char *name,
			const struct kring_ring_stat *r, struct kring_error *err)
{
	snprintf(err->text, sizeof(err->text),
		 "%.128s: %s is corrupt: size %u, head %u and tail %u do not go together", path,
		 name, r->size, r->head, r->tail);
	return TOOL_FAILED;
}

int cmd_stat(int argc, char **argv, struct kring_error *err)
{
	bool json = false;
	struct kring_stat st;
	int opt;

	while ((opt = getopt_long(argc, argv, ":jh", options, NULL)) >= 0) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc - 1)
		return tool_usage(err, "stat: one REGION is needed, not %d", argc - optind);

	if (kring_stat(argv[optind], &st, err))
		return TOOL_FAILED;
	if (json)
		show_json(&st);
	else
		show(&st);
	if (st.h2g.corrupt && st.g2h.corrupt)
		tool_notice("%s: g2h is corrupt too", argv[optind]);
	if (st.h2g.corrupt)
		return fail_corrupt(argv[optind], "h2g", &st.h2g, err);
	if (st.g2h.corrupt)
		return fail_corrupt(argv[optind], "g2h", &st.g2h, err);
	return TOOL_DONE;
}
