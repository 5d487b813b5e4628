// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * LOCAL:REMOTE on the command line of kring forward.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward_spec.h"

#define LOOPBACK	"127.0.0.1"

static bool is_path(const char *text)
{
	return *text == '/' || *text == '.' || *text == '@';
}

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 5 && !text[digits] && atoi(text) <= 65535;
}

static bool is_vsock_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 10 && !text[digits] && strtoull(text, NULL, 10) <= UINT32_MAX;
}

/*
 * Cut the next piece off at a colon, brackets off too; NULL: it is not well formed. *@rest is
 * NULL behind the last.
 */
static char *next_piece(char **rest)
{
	char *piece = *rest, *end;

	if (*piece == '[') {
		end = strchr(++piece, ']');
		if (!end || (end[1] && end[1] != ':'))
			return NULL;
		*end++ = '\0';
	} else {
		end = piece + strcspn(piece, ":");
	}
	*rest = *end ? end + 1 : NULL;
	*end = '\0';
	return piece;
}

/* [BIND:]PORT or a path, up to a colon. */
static bool parse_listen(struct forward_end *end, char **rest)
{
	char *piece;

	if (is_path(*rest)) {
		end->kind = FORWARD_UNIX;
		end->path = next_piece(rest);
		return *rest;
	}
	end->kind = FORWARD_TCP;
	piece = **rest == '[' ? NULL : *rest;
	end->port = next_piece(rest);
	end->host = (char *)LOOPBACK;
	if (!end->port || !*rest)
		return false;
	if (piece && is_port(end->port))
		return true;
	end->host = end->port;
	end->port = next_piece(rest);
	return end->port && *rest && is_port(end->port);
}

/* HOST:PORT, PORT, a path, or vsock:PORT: all the rest. */
static bool parse_connect(struct forward_end *end, char *rest)
{
	if (is_path(rest)) {
		end->kind = FORWARD_UNIX;
		end->path = rest;
		return true;
	}
	if (!strncmp(rest, "vsock:", 6)) {
		end->kind = FORWARD_VSOCK;
		end->port = rest + 6;
		return is_vsock_port(end->port);
	}
	end->kind = FORWARD_TCP;
	end->host = (char *)LOOPBACK;
	end->port = rest;
	if (is_port(rest))
		return atoi(rest);
	end->host = next_piece(&rest);
	end->port = rest;
	return end->host && *end->host && rest && is_port(rest) && atoi(rest);
}

int forward_parse(struct forward_spec *spec, const char *text, struct kring_error *err)
{
	char *rest;

	memset(spec, 0, sizeof(*spec));
	spec->text = strdup(text);
	if (!spec->text) {
		snprintf(err->text, sizeof(err->text), "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	rest = spec->text;
	if (parse_listen(&spec->listen, &rest) && *rest && parse_connect(&spec->connect, rest)) {
		if (spec->listen.kind == FORWARD_TCP &&
		    (!*spec->listen.host || !strcmp(spec->listen.host, "*")))
			spec->listen.host = (char *)"0.0.0.0";
		return 0;
	}
	forward_spec_clear(spec);
	snprintf(err->text, sizeof(err->text),
		 "forward %.128s: not [BIND:]PORT or PATH, and behind a colon HOST:PORT or PATH",
		 text);
	return -EINVAL;
}

void forward_spec_clear(struct forward_spec *spec)
{
	free(spec->text);
	memset(spec, 0, sizeof(*spec));
}

const char *forward_end_text(const struct forward_end *end, char *buf, size_t size)
{
	switch (end->kind) {
	case FORWARD_UNIX:
		snprintf(buf, size, "%s", end->path);
		break;
	case FORWARD_VSOCK:
		snprintf(buf, size, "vsock:%s", end->port);
		break;
	case FORWARD_TCP:
		snprintf(buf, size, strchr(end->host, ':') ? "[%s]:%s" : "%s:%s", end->host,
			 end->port);
		break;
	}
	return buf;
}
