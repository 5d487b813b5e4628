// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * --ulimit: names of resources, and their limits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "ulimit.h"

static const struct resource {
	const char *name;
	uint32_t number;
} resources[] = {
	{ "as", RLIMIT_AS },
	{ "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },
	{ "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
	{ }
};

/* Up to @stop, or to the end. */
static bool parse_limit(const char **text, char stop, uint64_t *limit)
{
	static const char unlimited[] = "unlimited";
	size_t len = strlen(unlimited);
	char *end;

	if (!strncmp(*text, unlimited, len)) {
		*limit = UINT64_MAX;
		*text += len;
	} else {
		if (**text < '0' || **text > '9')
			return false;
		errno = 0;
		*limit = strtoull(*text, &end, 10);
		if (errno)
			return false;
		*text = end;
	}
	return !**text || **text == stop;
}

bool ulimit_parse(const char *text, uint32_t *resource, uint64_t *soft, uint64_t *hard)
{
	size_t len = strcspn(text, "=");
	const struct resource *known;

	for (known = resources; known->name; known++)
		if (strlen(known->name) == len && !strncmp(known->name, text, len))
			break;
	if (!known->name || !text[len])
		return false;
	*resource = known->number;
	text += len + 1;
	if (!parse_limit(&text, ':', soft))
		return false;
	*hard = *soft;
	if (*text == ':') {
		text++;
		if (!parse_limit(&text, 0, hard))
			return false;
	}
	return *soft <= *hard;
}
