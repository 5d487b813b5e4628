// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The programs of one directory, one after another. One that fails is logged, and where it has
 * no veto, the others are run all the same.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hooks.h"
#include "log.h"

#define SECOND	1000000000ull

static bool is_name(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	return c > name;
}

static bool is_program(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, 0) && S_ISREG(st.st_mode) &&
	       !faccessat(dir, name, X_OK, AT_EACCESS);
}

static bool is_wanted(const struct hooks_args *args, const char *name)
{
	int order = args->until ? strcmp(name, args->until) : -1;

	return order < 0 || (!order && !args->but_until);
}

static int append_name(struct hooks *hooks, const char *name)
{
	char **longer = realloc(hooks->names, (hooks->count + 1) * sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	hooks->names = longer;
	longer[hooks->count] = strdup(name);
	if (!longer[hooks->count])
		return -ENOMEM;
	hooks->count++;
	return 0;
}

static int read_names(struct hooks *hooks, DIR *dir, const struct hooks_args *args)
{
	struct dirent *entry;
	int code = 0;

	for (errno = 0; !code && (entry = readdir(dir)); errno = 0)
		if (is_name(entry->d_name) && is_wanted(args, entry->d_name) &&
		    is_program(dirfd(dir), entry->d_name))
			code = append_name(hooks, entry->d_name);
	return code ? code : -errno;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_reverse(const void *a, const void *b)
{
	return compare(b, a);
}

/* The names of those to be run. 0 or a negative errno. */
static int look(struct hooks *hooks, const struct hooks_args *args)
{
	DIR *dir;
	int code;

	if (!args->dir)
		return 0;
	dir = opendir(args->dir);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	code = read_names(hooks, dir, args);
	closedir(dir);
	if (hooks->count)
		qsort(hooks->names, hooks->count, sizeof(*hooks->names),
		      args->reverse ? compare_reverse : compare);
	return code;
}

static void format_uuid(char *text, size_t size, const struct hooks_event *event)
{
	size_t len = snprintf(text, size, "KRING_UUID="), i;

	for (i = 0; event->has_uuid && i < KRING_UUID_LEN; i++)
		len += snprintf(text + len, size - len, "%s%02x",
				i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				event->uuid[i]);
}

static void make_environment(struct hooks *hooks, const struct hooks_event *event)
{
	const size_t size = sizeof(hooks->text[0]);
	unsigned int i;

	snprintf(hooks->text[0], size, "KRING_OLD_GENERATION=%" PRIu64, event->old_generation);
	snprintf(hooks->text[1], size, "KRING_NEW_GENERATION=%" PRIu64, event->new_generation);
	snprintf(hooks->text[2], size, "KRING_FORKED=%d", event->forked);
	format_uuid(hooks->text[3], size, event);
	for (i = 0; i < HOOKS_ENV; i++)
		hooks->env[i] = hooks->text[i];
}

static void note_failure(struct hooks *hooks, const char *text)
{
	if (!hooks->failed++)
		snprintf(hooks->failure, sizeof(hooks->failure), "%.64s%s%s", hooks->last,
			 hooks->last[0] ? " " : "", text);
	log_error("%s/%s: %s", hooks->name, hooks->last, text);
}

static void hooks_finish(struct hooks *hooks)
{
	size_t i;

	for (i = 0; i < hooks->count; i++)
		free(hooks->names[i]);
	free(hooks->names);
	hooks->names = NULL;
	hooks->count = 0;
	hooks->done(hooks);
}

static void hook_done(void *owner, const struct hook_result *result)
{
	struct hooks *hooks = owner;

	hooks->hook = NULL;
	hooks->refused = result->refused && !result->ok;
	if (!result->ok)
		note_failure(hooks, result->text);
	loop_queue(&hooks->agent->loop, &hooks->turn);
}

static void start_next(struct hooks *hooks)
{
	const char *name = hooks->names[hooks->next++];
	char path[PATH_MAX + NAME_MAX], label[NAME_MAX + 100];
	struct failure failure;
	struct hook_args args = {
		.path = path,
		.label = label,
		.env = hooks->env,
		.env_count = HOOKS_ENV,
		.limit = hooks->agent->config.hook_timeout * SECOND,
		.done = hook_done,
		.owner = hooks,
	};

	snprintf(path, sizeof(path), "%s/%s", hooks->dir, name);
	snprintf(label, sizeof(label), "%.90s/%s", hooks->name, name);
	snprintf(hooks->last, sizeof(hooks->last), "%s", name);
	log_debug("%s: begins", label);
	if (!hook_start(&hooks->hook, hooks->agent, &args, &failure))
		return;
	hooks->hook = NULL;
	hooks->refused = true;
	note_failure(hooks, failure.text);
	loop_queue(&hooks->agent->loop, &hooks->turn);
}

static void hooks_turn(struct loop_job *job)
{
	struct hooks *hooks = container_of(job, struct hooks, turn);

	if (hooks->hook)
		return;
	if (hooks->stopped || (hooks->veto && hooks->failed) || hooks->next == hooks->count)
		hooks_finish(hooks);
	else
		start_next(hooks);
}

void hooks_start(struct hooks *hooks, struct agent *agent, const struct hooks_args *args,
		 void (*done)(struct hooks *hooks))
{
	const char *slash;
	int code;

	memset(hooks, 0, sizeof(*hooks));
	hooks->agent = agent;
	hooks->done = done;
	hooks->veto = args->veto;
	hooks->turn.run = hooks_turn;
	snprintf(hooks->dir, sizeof(hooks->dir), "%s", args->dir ? args->dir : "");
	slash = strrchr(hooks->dir, '/');
	hooks->name = slash ? slash + 1 : hooks->dir;
	make_environment(hooks, args->event);
	code = look(hooks, args);
	if (code)
		note_failure(hooks, strerror(-code));
	loop_queue(&agent->loop, &hooks->turn);
}

void hooks_stop(struct hooks *hooks)
{
	hooks->stopped = true;
	if (hooks->hook)
		hook_stop(hooks->hook);
}
