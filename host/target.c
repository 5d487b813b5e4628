// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Addresses that connections of the host's go to.
 */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "target.h"

static int fail(struct kring_error *err, int code, const char *text, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%.112s: %s", text, why);
	return code;
}

static int set_text(struct target *target, const char *text, struct kring_error *err)
{
	target->text = strdup(text);
	return target->text ? 0 : fail(err, -ENOMEM, text, strerror(ENOMEM));
}

int target_unix(struct target *target, const char *path, struct kring_error *err)
{
	struct sockaddr_un *addr = (struct sockaddr_un *)&target->addresses[0];
	size_t len = strlen(path);

	memset(target, 0, sizeof(*target));
	if (!len)
		return fail(err, -EINVAL, "unix socket", "it has no name");
	if (len >= sizeof(addr->sun_path))
		return fail(err, -ENAMETOOLONG, path, "too long for a unix socket");
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, path, len);
	/* An abstract name has no NUL at its end, and one for its "@". */
	target->lengths[0] = offsetof(struct sockaddr_un, sun_path) + len + 1;
	if (*path == '@') {
		addr->sun_path[0] = '\0';
		target->lengths[0]--;
	}
	target->count = 1;
	return set_text(target, path, err);
}

int target_tcp(struct target *target, const char *host, const char *port,
	       struct kring_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *a;
	char text[300];
	int code;

	memset(target, 0, sizeof(*target));
	snprintf(text, sizeof(text), strchr(host, ':') ? "[%.255s]:%.32s" : "%.255s:%.32s", host,
		 port);
	code = getaddrinfo(host, port, &hints, &found);
	if (code)
		return fail(err, code == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL, text,
			    code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
	for (a = found; a && target->count < TARGET_ADDRESSES; a = a->ai_next) {
		memcpy(&target->addresses[target->count], a->ai_addr, a->ai_addrlen);
		target->lengths[target->count++] = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return set_text(target, text, err);
}

bool split_host_port(char *text, char **host, char **port)
{
	char *colon = strrchr(text, ':');
	size_t len;

	if (!colon || !colon[1])
		return false;
	*colon = '\0';
	*port = colon + 1;
	len = strlen(text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		text++;
	} else if (strchr(text, ':')) {
		return false;
	}
	*host = text;
	return true;
}

int target_parse(struct target *target, const char *text, struct kring_error *err)
{
	char *copy, *host, *port;
	int code;

	if (!strncmp(text, "unix:", 5))
		return target_unix(target, text + 5, err);
	if (strncmp(text, "tcp:", 4))
		return fail(err, -EINVAL, text, "neither unix:PATH nor tcp:HOST:PORT");
	copy = strdup(text + 4);
	if (!copy)
		return fail(err, -ENOMEM, text, strerror(ENOMEM));
	if (split_host_port(copy, &host, &port) && *host)
		code = target_tcp(target, host, port, err);
	else
		code = fail(err, -EINVAL, text, "not tcp:HOST:PORT");
	free(copy);
	return code;
}

void target_clear(struct target *target)
{
	free(target->text);
	target->text = NULL;
}
