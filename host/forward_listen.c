// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring forward: from the host to the guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward.h"

static void forward_on_accepted(int fd, void *owner)
{
	struct forward *forward = owner;
	const struct forward_end *to = &forward->spec.connect;
	struct forwarder *forwarder = forward->forwarder;
	Kring__Connect connect = KRING__CONNECT__INIT;
	struct kring_stream *stream;
	char text[300];

	forward_end_text(to, text, sizeof(text));
	switch (to->kind) {
	case FORWARD_TCP:
		connect.where_case = KRING__CONNECT__WHERE_TCP;
		connect.tcp = text;
		break;
	case FORWARD_UNIX:
		connect.where_case = KRING__CONNECT__WHERE_PATH;
		connect.path.data = (uint8_t *)to->path;
		connect.path.len = strlen(to->path);
		break;
	case FORWARD_VSOCK:
		connect.where_case = KRING__CONNECT__WHERE_VSOCK;
		connect.vsock = strtoul(to->port, NULL, 10);
		break;
	}
	stream = kring_open(client_mux(forwarder->client), "connect", &connect.base, 1 << 0, NULL,
			    NULL);
	if (!stream) {
		tool_notice("forward: %s", strerror(errno));
		close(fd);
		return;
	}
	/* What it sends at once follows the OPEN at once. */
	if (relay_start(&forwarder->dials.relays, client_loop(forwarder->client), stream, fd)) {
		kring_reset(stream, ENOMEM, "connect", "the host has no memory");
		close(fd);
	}
}

int forward_listen(struct forward *forward, struct kring_error *err)
{
	const struct forward_end *at = &forward->spec.listen;
	sd_event *loop = client_loop(forward->forwarder->client);
	char text[300];
	int code;

	if (at->kind == FORWARD_UNIX)
		code = listener_unix(&forward->listener, loop, SOCK_STREAM, at->path,
				     forward_on_accepted, forward, err);
	else
		code = listener_tcp(&forward->listener, loop, at->host, at->port,
				    forward_on_accepted, forward, err);
	if (code)
		return code;
	tool_notice("forward: listening on %.200s, to the guest's %.200s",
		    listener_address(forward->listener),
		    forward_end_text(&forward->spec.connect, text, sizeof(text)));
	return 0;
}
