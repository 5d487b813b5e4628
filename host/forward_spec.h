/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * LOCAL:REMOTE on the command line of kring forward.
 */
#ifndef KRING_FORWARD_SPEC_H
#define KRING_FORWARD_SPEC_H

#include <kring.h>

enum forward_kind {
	FORWARD_TCP,
	FORWARD_UNIX,
	FORWARD_VSOCK,
};

/**
 * struct forward_end - one end
 * @kind: which
 * @host: of TCP, without brackets; as it was left out, what is the default there
 * @port: of TCP, or of vsock
 * @path: of a unix socket
 */
struct forward_end {
	enum forward_kind kind;
	char *host;
	char *port;
	char *path;
};

/**
 * struct forward_spec - both
 * @listen: where connections come from
 * @connect: where they go to
 * @text: what the pointers point into
 */
struct forward_spec {
	struct forward_end listen;
	struct forward_end connect;
	char *text;
};

/**
 * forward_parse() - [BIND:]PORT or a path, a colon, HOST:PORT, PORT, a path or vsock:PORT
 *
 * What begins with a slash, a dot or "@" is a path; the first one ends at a colon. An IPv6
 * address is in brackets. Without BIND it is 127.0.0.1, and so is HOST; "*" is any address.
 *
 * Return: 0, or a negative errno and @err.
 */
int forward_parse(struct forward_spec *spec, const char *text, struct kring_error *err);
void forward_spec_clear(struct forward_spec *spec);

/* For a person. */
const char *forward_end_text(const struct forward_end *end, char *buf, size_t size);

#endif /* KRING_FORWARD_SPEC_H */
