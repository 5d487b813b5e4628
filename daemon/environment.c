// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The environment of a program that a host starts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "environment.h"

/* Of the user: HOME, USER, LOGNAME, SHELL; and TERM. */
#define USER_VARIABLES	5

char **strings_new(const ProtobufCBinaryData *bytes, size_t count, size_t extra)
{
	size_t size = (count + extra + 1) * sizeof(char *), i;
	char **strings, *at;

	for (i = 0; i < count; i++) {
		if (bytes[i].len && memchr(bytes[i].data, '\0', bytes[i].len)) {
			errno = EINVAL;
			return NULL;
		}
		size += bytes[i].len + 1;
	}
	strings = malloc(size);
	if (!strings)
		return NULL;
	at = (char *)(strings + count + extra + 1);
	for (i = 0; i < count; i++) {
		strings[i] = at;
		if (bytes[i].len)
			memcpy(at, bytes[i].data, bytes[i].len);
		at[bytes[i].len] = '\0';
		at += bytes[i].len + 1;
	}
	strings[count] = NULL;
	return strings;
}

/* Whether a variable is about the agent itself, or where it runs. A prefix ends in _. */
static bool is_agents(const char *variable)
{
	static const char *const names[] = {
		"CACHE_DIRECTORY", "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "FDSTORE",
		"INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_", "LOGS_DIRECTORY", "MAINPID",
		"MANAGERPID", "MEMORY_PRESSURE_", "NOTIFY_SOCKET", "OLDPWD", "PIDFILE", "PWD",
		"RUNTIME_DIRECTORY", "SHLVL", "STATE_DIRECTORY", "SYSTEMD_", "TERM", "TRIGGER_",
		"WATCHDOG_", "_", NULL
	};
	size_t i, len;

	for (i = 0; names[i]; i++) {
		len = strlen(names[i]);
		if (strncmp(variable, names[i], len))
			continue;
		if (variable[len] == '=' || (len > 1 && names[i][len - 1] == '_'))
			return true;
	}
	return false;
}

static bool is_set(char *const *vars, size_t count, const char *variable)
{
	size_t len = strcspn(variable, "=") + 1, i;

	for (i = 0; i < count; i++)
		if (!strncmp(vars[i], variable, len))
			return true;
	return false;
}

static size_t count_strings(char *const *strings)
{
	size_t count = 0;

	while (strings && strings[count])
		count++;
	return count;
}

/* NAME=VALUE in one piece with the others, which are freed all at once. */
static size_t format(char *at, size_t room, const char *name, const char *value)
{
	return snprintf(at, room, "%s=%s", name, value) + 1;
}

/* What the agent adds: in @text, which @room bytes are for; how many strings. */
static size_t user_variables(const Kring__Exec *exec, const struct identity *identity,
			     char **vars, char *text, size_t room)
{
	const char *const values[USER_VARIABLES][2] = {
		{ "HOME", identity->home }, { "USER", identity->name },
		{ "LOGNAME", identity->name }, { "SHELL", identity->shell },
		{ "TERM", "xterm" },
	};
	size_t count = exec->tty ? USER_VARIABLES : USER_VARIABLES - 1, i, len;

	for (i = 0; i < count; i++) {
		vars[i] = text;
		len = format(text, room, values[i][0], values[i][1]);
		text += len;
		room -= len;
	}
	return count;
}

char **environment_new(const struct config *config, const struct identity *identity,
		       const Kring__Exec *exec, struct failure *failure)
{
	size_t own = count_strings(environ), more = count_strings(config->env), count, users, i;
	size_t room = 2 * strlen(identity->name) + strlen(identity->home) +
		      strlen(identity->shell) + 64;
	size_t extra = own + more + USER_VARIABLES;
	char **vars, *text, *user[USER_VARIABLES];

	for (i = 0; i < exec->n_env; i++)
		if (exec->env[i].len < 2 || exec->env[i].data[0] == '=' ||
		    !memchr(exec->env[i].data, '=', exec->env[i].len)) {
			failure_set(failure, EINVAL, "env", "%.*s: not NAME=VALUE",
				    (int)(exec->env[i].len < 200 ? exec->env[i].len : 200),
				    (char *)exec->env[i].data);
			return NULL;
		}

	/* The text of the user's variables lies in the pointers' room, behind those used. */
	extra += (room + sizeof(char *) - 1) / sizeof(char *);
	vars = strings_new(exec->env, exec->n_env, extra);
	if (!vars) {
		failure_errno(failure, errno, "env", "a variable");
		return NULL;
	}
	count = exec->n_env;
	if (exec->clear_env)
		return vars;

	text = (char *)(vars + count + own + more + USER_VARIABLES + 1);
	for (i = 0; i < more; i++)
		if (!is_set(vars, count, config->env[i]))
			vars[count++] = config->env[i];
	users = user_variables(exec, identity, user, text, room);
	for (i = 0; i < users; i++)
		if (!is_set(vars, count, user[i]))
			vars[count++] = user[i];
	for (i = 0; i < own; i++)
		if (!is_agents(environ[i]) && !is_set(vars, count, environ[i]))
			vars[count++] = environ[i];
	vars[count] = NULL;
	return vars;
}
