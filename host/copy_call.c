// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cp: requests that are waited for, while transfers go on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "copy.h"

/**
 * struct call - a request under way
 * @copy: run
 * @why: for the refusal
 * @type: of the result, or NULL
 * @answer: result
 * @code: how it has ended
 * @done: it has
 */
struct call {
	struct copy *copy;
	struct kring_error *why;
	const ProtobufCMessageDescriptor *type;
	void *answer;
	int code;
	bool done;
};

static void call_end(struct call *call)
{
	call->done = true;
	if (call->copy->waiting)
		client_stop(call->copy->client);
}

static void on_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct call *call = kring_stream_owner(stream);

	if (call->type) {
		call->answer = kring_unpack_close(call->type, result, len);
		if (!call->answer) {
			snprintf(call->why->text, sizeof(call->why->text),
				 "the guest's answer makes no sense");
			call->code = -EBADMSG;
		}
	}
	kring_close(stream, NULL);
	call_end(call);
}

static void on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct call *call = kring_stream_owner(stream);

	call->code = copy_error(call->copy, call->why, error, len);
	call_end(call);
}

static const struct kring_stream_ops call_ops = {
	.closed = on_closed,
	.reset = on_reset,
};

int copy_call(struct copy *copy, const char *service, const ProtobufCMessage *request,
	      const ProtobufCMessageDescriptor *type, void **answer, struct kring_error *why)
{
	struct call call = { .copy = copy, .why = why, .type = type };
	struct kring_stream *stream;
	int code;

	*why = (struct kring_error){ "" };
	stream = kring_open(client_mux(copy->client), service, request, 0, &call_ops, &call);
	if (!stream) {
		snprintf(why->text, sizeof(why->text), "%s", strerror(errno));
		return -errno;
	}
	code = copy_wait_for(copy, &call.done);
	/* @call goes out of scope here. */
	if (!call.done)
		kring_reset(stream, ECANCELED, service, "not wanted any more");
	if (!code)
		code = call.code;
	if (code || !answer)
		kring_unpack_free(call.answer);
	else
		*answer = call.answer;
	return code;
}

int copy_stat(struct copy *copy, const char *path, bool follow, Kring__FileInfo **info,
	      struct kring_error *why)
{
	Kring__Stat request = KRING__STAT__INIT;
	void *answer = NULL;
	int code;

	request.path = copy_bytes(path);
	request.follow = follow;
	code = copy_call(copy, "stat", &request.base, &kring__file_info__descriptor, &answer,
			 why);
	*info = answer;
	return code;
}
