// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What most sub-commands need: one request, one result.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

/**
 * struct call - a request under way
 * @client: connection
 * @err: for the refusal
 * @type: of the result, or NULL
 * @answer: result
 * @code: how it has ended
 * @ended: it has
 */
struct call {
	struct client *client;
	struct kring_error *err;
	const ProtobufCMessageDescriptor *type;
	void *answer;
	int code;
	bool ended;
};

static void call_end(struct call *call)
{
	call->ended = true;
	client_stop(call->client);
}

static void call_on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct call *call = kring_stream_owner(stream);

	if (call->type) {
		call->answer = kring_unpack_close(call->type, result, len);
		if (!call->answer) {
			snprintf(call->err->text, sizeof(call->err->text),
				 "the guest's agent has sent a result that makes no sense");
			call->code = -EBADMSG;
		}
	}
	kring_close(stream, NULL);
	call_end(call);
}

static void call_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct call *call = kring_stream_owner(stream);

	call->code = client_error(call->err, error, len);
	call_end(call);
}

static const struct kring_stream_ops call_ops = {
	.closed = call_on_closed,
	.reset = call_on_reset,
};

int client_call(struct client *client, const char *service, const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *result, void **answer,
		struct kring_error *err)
{
	struct call call = { .client = client, .err = err, .type = result };
	struct kring_stream *stream;
	int code;

	stream = kring_open(client_mux(client), service, request, 0, &call_ops, &call);
	if (!stream) {
		code = -errno;
		snprintf(err->text, sizeof(err->text), "%s: %s", service, strerror(-code));
		return code;
	}
	code = client_run(client, err);
	/* The loop may have ended for another reason; @call goes out of scope here. */
	if (!call.ended)
		kring_reset(stream, ECANCELED, service, "not wanted any more");
	if (!code)
		code = call.code;
	if (code || !answer)
		kring_unpack_free(call.answer);
	else
		*answer = call.answer;
	return code;
}
