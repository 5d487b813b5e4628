// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Names that /etc/hosts has: on each line a number and its names.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosts.h"

#define HOSTS	"/etc/hosts"
#define BLANK	" \t\r\n"

static bool has_name(char *names, const char *name)
{
	char *word, *next = NULL;

	for (word = strtok_r(names, BLANK, &next); word; word = strtok_r(NULL, BLANK, &next))
		if (!strcasecmp(word, name))
			return true;
	return false;
}

void hosts_find(const char *name, void (*found)(void *owner, const char *number), void *owner)
{
	FILE *file = fopen(HOSTS, "re");
	char *line = NULL;
	size_t size = 0;
	char *names;

	if (!file)
		return;
	while (getline(&line, &size, file) >= 0) {
		line[strcspn(line, "#")] = '\0';
		names = line + strspn(line, BLANK);
		names += strcspn(names, BLANK);
		if (!*names)
			continue;
		*names++ = '\0';
		if (has_name(names, name))
			found(owner, line + strspn(line, BLANK));
	}
	free(line);
	fclose(file);
}
