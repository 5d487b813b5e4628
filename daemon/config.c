// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The configuration file: a key, "=", a value on a line. Whoever writes an agent's policy
 * must be told of a slip of the pen: what is not known is an error, never ignored.
 */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "agent.h"
#include "config.h"
#include "doorbell.h"

/**
 * struct config_key - a key
 * @name: in the file
 * @set: takes a value: 0, or a negative errno with a text in @err
 * @offset: of the member in struct config
 * @many: it may be given several times
 */
struct config_key {
	const char *name;
	int (*set)(void *member, const char *value, struct config_error *err);
	size_t offset;
	bool many;
};

static int wrong(struct config_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int wrong(struct config_error *err, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

static int no_memory(struct config_error *err)
{
	return wrong(err, -ENOMEM, "out of memory");
}

static void free_list(char **list)
{
	size_t i;

	for (i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static int append(char ***list, const char *text, size_t len, struct config_error *err)
{
	size_t count = 0;
	char **longer;

	while (*list && (*list)[count])
		count++;
	longer = realloc(*list, (count + 2) * sizeof(*longer));
	if (!longer)
		return no_memory(err);
	*list = longer;
	longer[count + 1] = NULL;
	longer[count] = strndup(text, len);
	return longer[count] ? 0 : no_memory(err);
}

/* "none" is NULL. */
static int set_text(void *member, const char *value, struct config_error *err)
{
	char **text = member;

	free(*text);
	*text = NULL;
	if (!strcmp(value, "none"))
		return 0;
	*text = strdup(value);
	return *text ? 0 : no_memory(err);
}

static int set_path(void *member, const char *value, struct config_error *err)
{
	if (value[0] != '/' && strcmp(value, "none"))
		return wrong(err, -EINVAL, "%.64s: no absolute path", value);
	return set_text(member, value, err);
}

static bool matches_some_service(const char *pattern)
{
	const struct service *const *service;

	for (service = services; *service; service++)
		if (!fnmatch(pattern, (*service)->name, 0))
			return true;
	return false;
}

static int set_doorbell(void *member, const char *value, struct config_error *err)
{
	if (!doorbell_valid(value) && strcmp(value, "none"))
		return wrong(err, -EINVAL, "%.64s: neither a path nor vsock:CID:PORT", value);
	return set_text(member, value, err);
}

/* Patterns, with blanks or commas between them. */
static int set_services(void *member, const char *value, struct config_error *err)
{
	char ***list = member;
	const char *at;
	char **all;
	size_t len;
	int code;

	/* Without one, "allow" would be as if it were not there. */
	if (!value[strspn(value, " \t,")])
		return wrong(err, -EINVAL, "no service is named");
	for (at = value; *at; at += len) {
		at += strspn(at, " \t,");
		len = strcspn(at, " \t,");
		if (!len)
			break;
		code = append(list, at, len, err);
		if (code)
			return code;
		for (all = *list; all[1]; all++)
			;
		if (!matches_some_service(*all))
			return wrong(err, -EINVAL, "there is no service %.64s", *all);
	}
	return 0;
}

static int set_env(void *member, const char *value, struct config_error *err)
{
	if (value[0] == '=' || !strchr(value, '='))
		return wrong(err, -EINVAL, "%.64s: not NAME=VALUE", value);
	return append(member, value, strlen(value), err);
}

static int set_level(void *member, const char *value, struct config_error *err)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "error", LOG_ERR },
		{ "warning", LOG_WARNING },
		{ "notice", LOG_NOTICE },
		{ "info", LOG_INFO },
		{ "debug", LOG_DEBUG },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcmp(value, levels[i].name)) {
			*(int *)member = levels[i].level;
			return 0;
		}
	return wrong(err, -EINVAL, "%.64s: none of error, warning, notice, info, debug", value);
}

/* With K, M or G. */
static int parse_number(uint64_t *number, const char *value, uint64_t min, uint64_t max,
			struct config_error *err)
{
	static const char units[] = "KMG";
	unsigned long long n;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)value[0]) || *end)
		return wrong(err, -EINVAL, "%.64s: no number", value);
	if (errno || n > UINT64_MAX >> shift || n << shift < min || n << shift > max)
		return wrong(err, -ERANGE, "%.64s: not from %llu to %llu", value,
			     (unsigned long long)min, (unsigned long long)max);
	*number = n << shift;
	return 0;
}

static int set_count(void *member, const char *value, struct config_error *err)
{
	uint64_t number;
	int code = parse_number(&number, value, 1, 1 << 20, err);

	if (!code)
		*(uint32_t *)member = number;
	return code;
}

static int set_window(void *member, const char *value, struct config_error *err)
{
	uint64_t number;
	int code = parse_number(&number, value, KRING_STREAM_WINDOW, 1 << 30, err);

	if (!code)
		*(uint32_t *)member = number;
	return code;
}

static int set_memory(void *member, const char *value, struct config_error *err)
{
	return parse_number(member, value, 1 << 20, 1ull << 40, err);
}

static int set_seconds(void *member, const char *value, struct config_error *err)
{
	uint64_t number;
	int code = parse_number(&number, value, 1, 24 * 3600, err);

	if (!code)
		*(uint32_t *)member = number;
	return code;
}

static int set_seconds_or_none(void *member, const char *value, struct config_error *err)
{
	uint64_t number;
	int code = parse_number(&number, value, 0, 24 * 3600, err);

	if (!code)
		*(uint32_t *)member = number;
	return code;
}

static int set_clock(void *member, const char *value, struct config_error *err)
{
	bool keep = !strcmp(value, "keep");

	if (!keep && strcmp(value, "step"))
		return wrong(err, -EINVAL, "%.64s: neither step nor keep", value);
	*(bool *)member = !keep;
	return 0;
}

#define KEY(name, set, many) { #name, set, offsetof(struct config, name), many }

static const struct config_key keys[] = {
	KEY(device, set_path, false),
	KEY(doorbell, set_doorbell, false),
	KEY(host_socket, set_path, false),
	KEY(allow, set_services, true),
	KEY(deny, set_services, true),
	KEY(env, set_env, true),
	KEY(log_level, set_level, false),
	KEY(streams_max, set_count, false),
	KEY(sessions_max, set_count, false),
	KEY(orphan_time, set_seconds_or_none, false),
	KEY(window, set_window, false),
	KEY(memory_max, set_memory, false),
	KEY(clock, set_clock, false),
	KEY(restore_d, set_path, false),
	KEY(freeze_d, set_path, false),
	KEY(thaw_d, set_path, false),
	KEY(hook_timeout, set_seconds, false),
};

#define KEYS	ARRAY_SIZE(keys)

int config_init(struct config *config, struct config_error *err)
{
	memset(config, 0, sizeof(*config));
	config->log_level = LOG_INFO;
	config->streams_max = 1024;
	config->sessions_max = 1024;
	config->orphan_time = 60;
	config->window = 256 << 10;
	config->memory_max = 128 << 20;
	config->clock = true;
	config->hook_timeout = 30;
	config->host_socket = strdup("/run/kring/host.sock");
	config->restore_d = strdup("/etc/kring/restore.d");
	config->freeze_d = strdup("/etc/kring/freeze.d");
	config->thaw_d = strdup("/etc/kring/thaw.d");
	if (config->host_socket && config->restore_d && config->freeze_d && config->thaw_d)
		return 0;
	config_free(config);
	return no_memory(err);
}

void config_free(struct config *config)
{
	free(config->device);
	free(config->doorbell);
	free(config->host_socket);
	free_list(config->allow);
	free_list(config->deny);
	free_list(config->env);
	free(config->restore_d);
	free(config->freeze_d);
	free(config->thaw_d);
	memset(config, 0, sizeof(*config));
}

/* Cut off blanks at both ends. */
static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* @lines: in which each key was given, 0: not yet */
static int set_line(struct config *config, char *text, unsigned int line, unsigned int *lines,
		    struct config_error *err)
{
	char *equals, *name, *value;
	unsigned int i;

	text = trim(text);
	if (!*text || *text == '#')
		return 0;
	equals = strchr(text, '=');
	if (!equals)
		return wrong(err, -EINVAL, "%.64s: not KEY = VALUE", text);
	*equals = '\0';
	name = trim(text);
	value = trim(equals + 1);

	for (i = 0; i < KEYS; i++)
		if (!strcmp(name, keys[i].name))
			break;
	if (i == KEYS)
		return wrong(err, -EINVAL, "unknown key %.64s", name);
	if (!*value)
		return wrong(err, -EINVAL, "%s: no value", name);
	if (lines[i] && !keys[i].many)
		return wrong(err, -EINVAL, "%s: given in line %u already", name, lines[i]);
	lines[i] = line;
	return keys[i].set((char *)config + keys[i].offset, value, err);
}

static int read_lines(struct config *config, FILE *file, const char *path,
		      struct config_error *err)
{
	unsigned int lines[KEYS] = { 0 }, line = 0;
	struct config_error inner;
	size_t size = 0;
	char *text = NULL;
	ssize_t len;
	int code = 0;

	while (!code && (len = getline(&text, &size, file)) >= 0) {
		line++;
		code = strlen(text) == (size_t)len ?
			set_line(config, text, line, lines, &inner) :
			wrong(&inner, -EINVAL, "it contains a NUL");
	}
	if (code)
		wrong(err, code, "%.100s:%u: %.140s", path, line, inner.text);
	else if (ferror(file))
		code = wrong(err, -EIO, "%.100s: %s", path, strerror(errno));
	free(text);
	return code;
}

int config_load(struct config *config, const char *path, struct config_error *err)
{
	bool optional = !path;
	FILE *file;
	int code;

	code = config_init(config, err);
	if (code)
		return code;
	if (!path)
		path = CONFIG_PATH;
	file = fopen(path, "re");
	if (!file && optional && errno == ENOENT)
		return 0;
	if (!file) {
		code = wrong(err, -errno, "%.100s: %s", path, strerror(errno));
		goto free_config;
	}
	config->from_file = true;
	code = read_lines(config, file, path, err);
	fclose(file);
	if (!code)
		return 0;
free_config:
	config_free(config);
	return code;
}

int config_set(struct config *config, const char *key, const char *value,
	       struct config_error *err)
{
	struct config_error inner;
	unsigned int i;
	int code;

	for (i = 0; strcmp(keys[i].name, key); i++)
		;
	code = keys[i].set((char *)config + keys[i].offset, value, &inner);
	if (!code)
		return 0;
	wrong(err, code, "%s: %.140s", key, inner.text);
	config_free(config);
	return code;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

const char *config_reload(struct config *config, struct config *fresh)
{
	const char *restart = NULL;
	struct config old = *config;

	if (!same_text(old.device, fresh->device))
		restart = "device";
	else if (!same_text(old.doorbell, fresh->doorbell))
		restart = "doorbell";
	else if (!same_text(old.host_socket, fresh->host_socket))
		restart = "host_socket";
	else if (old.streams_max != fresh->streams_max)
		restart = "streams_max";
	else if (old.sessions_max != fresh->sessions_max)
		restart = "sessions_max";
	else if (old.window != fresh->window)
		restart = "window";
	else if (old.memory_max != fresh->memory_max)
		restart = "memory_max";

	config->allow = fresh->allow;
	config->deny = fresh->deny;
	config->env = fresh->env;
	config->log_level = fresh->log_level;
	config->orphan_time = fresh->orphan_time;
	config->clock = fresh->clock;
	config->restore_d = fresh->restore_d;
	config->freeze_d = fresh->freeze_d;
	config->thaw_d = fresh->thaw_d;
	config->hook_timeout = fresh->hook_timeout;
	fresh->allow = old.allow;
	fresh->deny = old.deny;
	fresh->env = old.env;
	fresh->restore_d = old.restore_d;
	fresh->freeze_d = old.freeze_d;
	fresh->thaw_d = old.thaw_d;
	config_free(fresh);
	return restart;
}

static bool matches(char *const *patterns, const char *name)
{
	for (; *patterns; patterns++)
		if (!fnmatch(*patterns, name, 0))
			return true;
	return false;
}

bool config_allows(const struct config *config, const char *name)
{
	if (config->allow && !matches(config->allow, name))
		return false;
	return !config->deny || !matches(config->deny, name);
}
