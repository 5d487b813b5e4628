// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "serve": the host says which services it has for programs of the guest, as long as the
 * stream is there. caller.c asks here whom a program is for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "serve.h"
#include "services.h"

/* As many as a Hello may name. */
#define NAMES_MAX	64

/**
 * struct serve - a stream, and the names that it has
 * @next: the one that came before
 * @agent: in whose list it is
 * @stream: it
 * @count: how many names
 * @names: copies
 */
struct serve {
	struct serve *next;
	struct agent *agent;
	struct kring_stream *stream;
	size_t count;
	char *names[];
};

static void serve_free(struct serve *serve)
{
	size_t i;

	for (i = 0; i < serve->count; i++)
		free(serve->names[i]);
	free(serve);
}

static void serve_end(struct serve *serve)
{
	struct serve **at = &serve->agent->serves;

	while (*at != serve)
		at = &(*at)->next;
	*at = serve->next;
	serve_free(serve);
}

static void serve_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	serve_end(kring_stream_owner(stream));
}

static void serve_closed(struct kring_stream *stream, const void *result, size_t len)
{
	(void)result;
	(void)len;
	serve_end(kring_stream_owner(stream));
	kring_close(stream, NULL);
}

static const struct kring_stream_ops serve_ops = {
	.closed = serve_closed,
	.reset = serve_reset,
};

static bool is_beginning(const char *pattern, const char *name)
{
	size_t len = strlen(pattern) - 1;

	return pattern[len] == '*' && !strncmp(pattern, name, len);
}

static bool has_name(const struct serve *serve, const char *name, bool whole)
{
	size_t i;

	for (i = 0; i < serve->count; i++)
		if (whole ? !strcmp(serve->names[i], name) : is_beginning(serve->names[i], name))
			return true;
	return false;
}

static uint32_t find(const struct agent *agent, const char *name, bool whole)
{
	const struct serve *serve;

	for (serve = agent->serves; serve; serve = serve->next)
		if (has_name(serve, name, whole))
			return kring_stream_number(serve->stream);
	return 0;
}

uint32_t serve_find(const struct agent *agent, const char *name)
{
	uint32_t number = find(agent, name, true);

	return number ? number : find(agent, name, false);
}

static struct serve *serve_new(const Kring__Serve *request)
{
	struct serve *serve;
	size_t i;

	serve = calloc(1, sizeof(*serve) + request->n_names * sizeof(*serve->names));
	for (i = 0; serve && i < request->n_names; i++) {
		serve->names[i] = strdup(request->names[i]);
		if (!serve->names[i]) {
			serve_free(serve);
			return NULL;
		}
		serve->count++;
	}
	return serve;
}

static bool makes_sense(const Kring__Serve *request)
{
	size_t i;

	if (!request->n_names || request->n_names > NAMES_MAX)
		return false;
	for (i = 0; i < request->n_names; i++)
		if (!*request->names[i])
			return false;
	return true;
}

static void serve_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct serve *serve;

	if (!makes_sense(request)) {
		kring_reset(stream, EINVAL, "serve", "1 to %d names are needed", NAMES_MAX);
		return;
	}
	serve = serve_new(request);
	if (!serve || kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "serve", "%s", strerror(ENOMEM));
		if (serve)
			serve_free(serve);
		return;
	}
	log_debug("serving %.64s%s", serve->names[0], serve->count > 1 ? " ..." : "");
	serve->agent = agent;
	serve->stream = stream;
	serve->next = agent->serves;
	agent->serves = serve;
	kring_stream_set_ops(stream, &serve_ops, serve);
}

const struct service service_serve = {
	.name = "serve",
	.request = &kring__serve__descriptor,
	.open = serve_open,
};
