// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The messages of agent.proto.
 *
 * A decoded message is a tree of small allocations, which the peer chooses. They all come
 * out of one arena of bounded size, so that a megabyte of empty strings costs no more than
 * an error, and freeing it is one free().
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kring/stream.h>

#include "internal.h"
#include "message.h"
#include "mux.h"

/* A message costs a small multiple of its bytes, unless it is made to cost more. */
#define ARENA_FACTOR	16
#define ARENA_MIN	4096

struct block {
	struct block *next;
	max_align_t data[];
};

/**
 * struct arena - the memory of one decoded message
 * @room: bytes that it may still take
 * @root: the first block, which is the message itself; all others come behind it
 */
struct arena {
	size_t room;
	struct block *root;
};

static void *arena_alloc(void *data, size_t size)
{
	struct arena *arena = data;
	struct block *block;

	if (arena->room < sizeof(*block) || size > arena->room - sizeof(*block))
		return NULL;
	size += sizeof(*block);
	block = malloc(size);
	if (!block)
		return NULL;
	arena->room -= size;
	block->next = NULL;
	if (arena->root) {
		block->next = arena->root->next;
		arena->root->next = block;
	} else {
		arena->root = block;
	}
	return block->data;
}

/* Nothing is given back before all is. */
static void arena_free(void *data, void *at)
{
	(void)data;
	(void)at;
}

static void free_blocks(struct block *block)
{
	struct block *next;

	for (; block; block = next) {
		next = block->next;
		free(block);
	}
}

void *kring_unpack(const ProtobufCMessageDescriptor *type, const void *buf, size_t len)
{
	struct arena arena = { 0 };
	ProtobufCAllocator allocator = {
		.alloc = arena_alloc,
		.free = arena_free,
		.allocator_data = &arena,
	};
	static const uint8_t nothing;
	void *message;

	if (len > KRING_MESSAGE_MAX)
		return NULL;
	arena.room = ARENA_MIN + ARENA_FACTOR * len;
	message = protobuf_c_message_unpack(type, &allocator, len, len ? buf : &nothing);
	if (!message)
		free_blocks(arena.root);
	return message;
}

void kring_unpack_free(void *message)
{
	if (message)
		free_blocks((struct block *)((char *)message - offsetof(struct block, data)));
}

void *kring_pack(const ProtobufCMessage *message, size_t *len)
{
	uint8_t *bytes;

	*len = message ? protobuf_c_message_get_packed_size(message) : 0;
	bytes = malloc(*len ? *len : 1);
	if (bytes && message)
		protobuf_c_message_pack(message, bytes);
	return bytes;
}

/* Of an envelope whose bytes are the message: @content is in it. */
static void *pack_envelope(const ProtobufCMessage *envelope, ProtobufCBinaryData *content,
			   const ProtobufCMessage *message, size_t *len)
{
	void *bytes;

	content->data = kring_pack(message, &content->len);
	if (!content->data)
		return NULL;
	bytes = kring_pack(envelope, len);
	free(content->data);
	return bytes;
}

void *kring_pack_accept(const ProtobufCMessage *reply, size_t *len)
{
	Kring__Accept accept = KRING__ACCEPT__INIT;

	return pack_envelope(&accept.base, &accept.reply, reply, len);
}

void *kring_pack_close(const ProtobufCMessage *result, size_t *len)
{
	Kring__Close close = KRING__CLOSE__INIT;

	return pack_envelope(&close.base, &close.result, result, len);
}

void *kring_pack_error(int number, const char *step, const char *text, size_t *len)
{
	Kring__Error error = KRING__ERROR__INIT;

	error.number = number;
	error.step = (char *)step;
	error.text = (char *)text;
	return kring_pack(&error.base, len);
}

static void *unpack_envelope(const ProtobufCMessageDescriptor *type, void *envelope,
			     const ProtobufCBinaryData *content)
{
	void *message = kring_unpack(type, content->data, content->len);

	kring_unpack_free(envelope);
	return message;
}

void *kring_unpack_accept(const ProtobufCMessageDescriptor *type, const void *buf, size_t len)
{
	Kring__Accept *accept = kring_unpack(&kring__accept__descriptor, buf, len);

	return accept ? unpack_envelope(type, accept, &accept->reply) : NULL;
}

void *kring_unpack_close(const ProtobufCMessageDescriptor *type, const void *buf, size_t len)
{
	Kring__Close *close = kring_unpack(&kring__close__descriptor, buf, len);

	return close ? unpack_envelope(type, close, &close->result) : NULL;
}

struct kring_stream *kring_open_with(struct kring_mux *mux, const struct kring_open_args *args)
{
	Kring__Open open = KRING__OPEN__INIT;
	struct kring_stream *stream = NULL;
	uint8_t token[KRING_TOKEN_LEN];
	size_t len;
	void *bytes;

	open.service = (char *)args->service;
	open.on_fork = args->on_fork;
	/* Without one it lives as long as the connection does. */
	if (!kring_random(token, sizeof(token))) {
		open.token.data = token;
		open.token.len = sizeof(token);
	}
	bytes = pack_envelope(&open.base, &open.request, args->request, &len);
	if (!bytes) {
		errno = ENOMEM;
		return NULL;
	}
	stream = kring_mux_open(mux, args->parent, bytes, len, args->channels, args->ops,
				args->owner);
	free(bytes);
	if (stream && open.token.len)
		kring_stream_set_token(stream, token);
	return stream;
}

struct kring_stream *kring_open(struct kring_mux *mux, const char *service,
				const ProtobufCMessage *request, unsigned int channels,
				const struct kring_stream_ops *ops, void *owner)
{
	struct kring_open_args args = {
		.service = service,
		.request = request,
		.channels = channels,
		.ops = ops,
		.owner = owner,
	};

	return kring_open_with(mux, &args);
}

int kring_accept(struct kring_stream *stream, const ProtobufCMessage *reply,
		 unsigned int channels)
{
	size_t len;
	void *bytes = kring_pack_accept(reply, &len);
	int code;

	if (!bytes)
		return -ENOMEM;
	code = kring_stream_accept(stream, bytes, len, channels);
	free(bytes);
	return code;
}

int kring_control(struct kring_stream *stream, const ProtobufCMessage *message)
{
	size_t len;
	void *bytes = kring_pack(message, &len);
	int code;

	if (!bytes)
		return -ENOMEM;
	code = kring_stream_control(stream, bytes, len);
	free(bytes);
	return code;
}

int kring_close(struct kring_stream *stream, const ProtobufCMessage *result)
{
	size_t len;
	void *bytes = kring_pack_close(result, &len);
	int code;

	if (!bytes) {
		kring_stream_reset(stream, NULL, 0);
		return -ENOMEM;
	}
	code = kring_stream_close(stream, bytes, len);
	free(bytes);
	return code;
}

void kring_reset(struct kring_stream *stream, int number, const char *step, const char *fmt, ...)
{
	char text[512];
	va_list args;
	void *bytes;
	size_t len;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	bytes = kring_pack_error(number, step, text, &len);
	kring_stream_reset(stream, bytes, bytes ? len : 0);
	free(bytes);
}
