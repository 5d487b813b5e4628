// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring forward -R: from the guest to the host.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "forward.h"
#include "printable.h"

static void reverse_on_accepted(struct kring_stream *stream, const void *reply, size_t len)
{
	Kring__Listening *listening = kring_unpack_accept(&kring__listening__descriptor, reply,
							  len);
	struct forward *forward = kring_stream_owner(stream);
	char address[128], text[300];

	printable(address, sizeof(address), listening ? listening->address : "?",
		  listening ? strlen(listening->address) : 1);
	kring_unpack_free(listening);
	tool_notice("forward: listening on the guest's %.128s, to %.200s", address,
		    forward_end_text(&forward->spec.connect, text, sizeof(text)));
}

static void reverse_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct forward *forward = kring_stream_owner(stream);

	(void)result;
	(void)len;
	forward->stream = NULL;
	kring_close(stream, NULL);
	snprintf(forward->forwarder->err->text, sizeof(forward->forwarder->err->text),
		 "forward %.128s: the guest does not listen any more", forward->spec.text);
	forwarder_fail(forward->forwarder);
}

static void reverse_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct forward *forward = kring_stream_owner(stream);

	forward->stream = NULL;
	client_error(forward->forwarder->err, error, len);
	forwarder_fail(forward->forwarder);
}

static const struct kring_stream_ops reverse_ops = {
	.accepted = reverse_on_accepted,
	.closed = reverse_on_closed,
	.reset = reverse_on_reset,
};

static int reverse_target(struct forward *forward, struct kring_error *err)
{
	const struct forward_end *to = &forward->spec.connect;

	if (to->kind == FORWARD_VSOCK) {
		snprintf(err->text, sizeof(err->text), "forward: vsock:%.16s is the guest's only",
			 to->port);
		return -EINVAL;
	}
	if (to->kind == FORWARD_UNIX)
		return target_unix(&forward->target, to->path, err);
	return target_tcp(&forward->target, to->host, to->port, err);
}

int forward_reverse(struct forward *forward, struct kring_error *err)
{
	const struct forward_end *at = &forward->spec.listen;
	Kring__Listen listen = KRING__LISTEN__INIT;
	char text[300];
	int code;

	code = reverse_target(forward, err);
	if (code)
		return code;
	if (at->kind == FORWARD_UNIX) {
		listen.where_case = KRING__LISTEN__WHERE_PATH;
		listen.path.data = (uint8_t *)at->path;
		listen.path.len = strlen(at->path);
	} else {
		listen.where_case = KRING__LISTEN__WHERE_TCP;
		listen.tcp = (char *)forward_end_text(at, text, sizeof(text));
	}
	forward->stream = kring_open(client_mux(forward->forwarder->client), "listen",
				     &listen.base, 0, &reverse_ops, forward);
	if (!forward->stream) {
		code = -errno;
		snprintf(err->text, sizeof(err->text), "forward: %s", strerror(errno));
	}
	return code;
}
