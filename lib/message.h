/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: the messages of agent.proto, with bounded memory.
 */
#ifndef KRING_MESSAGE_H
#define KRING_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kring.h>
#include <kring/agent.pb-c.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kring_unpack() - decode a message that the peer has sent
 * @type: such as &kring__exec__descriptor
 * @buf: its bytes
 * @len: how many
 *
 * Decoding takes 16 times @len of memory at most, and a few KiB.
 *
 * Return: a Kring__... to be freed with kring_unpack_free(), or NULL: it makes no sense, or
 * wants too much memory.
 */
void *kring_unpack(const struct ProtobufCMessageDescriptor *type, const void *buf, size_t len);

/** kring_unpack_free() - free what kring_unpack() has returned; NULL is allowed */
void kring_unpack_free(void *message);

/**
 * kring_pack() - encode a message
 * @message: a Kring__..., cast to ProtobufCMessage
 * @len: its bytes
 *
 * Return: to be freed with free(); NULL: no memory.
 */
void *kring_pack(const ProtobufCMessage *message, size_t *len);

/*
 * The envelopes: Accept, Close and Error in one go. All return what is to be freed
 * with free(), or NULL.
 */
void *kring_pack_accept(const ProtobufCMessage *reply, size_t *len);
void *kring_pack_close(const ProtobufCMessage *result, size_t *len);
void *kring_pack_error(int number, const char *step, const char *text, size_t *len);

/*
 * The same, and what is to be done with them. @request, @reply, @result and @message may be
 * NULL for an empty message. @number is positive, an errno.
 */
struct kring_mux;
struct kring_stream;
struct kring_stream_ops;

struct kring_stream *kring_open(struct kring_mux *mux, const char *service,
				const ProtobufCMessage *request, unsigned int channels,
				const struct kring_stream_ops *ops, void *owner);

/**
 * struct kring_open_args - a stream to be opened, where kring_open() is not enough
 * @service: as in Open
 * @request: its message, or NULL
 * @parent: number of the stream that it belongs to, 0: none
 * @on_fork: what becomes of it in a forked child
 * @channels: as kring_mux_open()
 * @ops: callbacks
 * @owner: their owner
 */
struct kring_open_args {
	const char *service;
	const ProtobufCMessage *request;
	uint32_t parent;
	Kring__ForkPolicy on_fork;
	unsigned int channels;
	const struct kring_stream_ops *ops;
	void *owner;
};

struct kring_stream *kring_open_with(struct kring_mux *mux, const struct kring_open_args *args);

int kring_accept(struct kring_stream *stream, const ProtobufCMessage *reply,
		 unsigned int channels);
int kring_control(struct kring_stream *stream, const ProtobufCMessage *message);
int kring_close(struct kring_stream *stream, const ProtobufCMessage *result);
void kring_reset(struct kring_stream *stream, int number, const char *step, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * The opposite: decode an Accept's reply or a Close's result. NULL: it makes no sense.
 */
void *kring_unpack_accept(const ProtobufCMessageDescriptor *type, const void *buf, size_t len);
void *kring_unpack_close(const ProtobufCMessageDescriptor *type, const void *buf, size_t len);

/*
 * Hello
 */

/**
 * struct kring_hello - what each side has said of itself
 * @agent: this program and its version
 * @services: what may be opened here, NULL behind the last; NULL: nothing
 * @generation: of the region, 0: not known
 * @streams_max: streams that the peer may have open
 * @resumes: streams are to outlive the connection
 * @relays: others' streams come this way, too: the RESUME that follows is not all of it
 * @process: of this process, random; kring_hello_init() sets it, a broker passes on another
 * @restored: generation that the region's last restore or fork has made; at the guest: that it
 *	has dealt with
 * @uuid: of the region; at the guest: that it knows
 * @has_uuid: there is one
 * @instance: of this connection, random
 * @said: the peer has said Hello to us, and what follows is what it said
 * @restoring: RESTORED was said, or is going to be, and was not answered; the host pulls
 *	nothing of streams
 * @known_generation: the guest's: what the last host has said, but for those that came behind a
 *	restore which it has not dealt with
 * @peer_instance: of the peer's connection
 * @peer_process: of the peer's process
 * @peer_generation: of the region
 * @peer_streams_max: streams that may be open there
 * @peer_resumes: RESUME follows
 * @peer_agent: its program and version, printable
 *
 * Those above @instance are the owner's to set.
 */
struct kring_hello {
	const char *agent;
	const char *const *services;
	uint64_t generation;
	uint32_t streams_max;
	bool resumes;
	bool relays;
	uint64_t process;
	uint64_t restored;
	uint8_t uuid[KRING_UUID_LEN];
	bool has_uuid;
	uint64_t instance;
	bool said;
	bool restoring;
	uint64_t known_generation;
	uint64_t peer_instance;
	uint64_t peer_process;
	uint64_t peer_generation;
	uint32_t peer_streams_max;
	bool peer_resumes;
	char peer_agent[64];
};

/** kring_hello_init() - clear it, and give this process its numbers */
void kring_hello_init(struct kring_hello *hello, const char *agent);

/**
 * kring_hello_forget() - all streams are over, and nothing is remembered of them
 * @hello: says from now on that this is another process, so that what had been asked of it, and was
 *	not answered, is not asked again
 * @mux: whose streams
 * @why: for their owners
 */
void kring_hello_forget(struct kring_hello *hello, struct kring_mux *mux, const char *why);

/**
 * kring_hello_anew() - the connection is gone, and there is going to be another one
 * @hello: what is known
 * @mux: its streams are parked where both sides resume, else over; @why for their owners
 * @why: in words
 */
void kring_hello_anew(struct kring_hello *hello, struct kring_mux *mux, const char *why);

/**
 * kring_hello_say() - say Hello, as the first thing after attaching
 *
 * Until @said, @mux drops what else arrives: it may be for somebody who is gone.
 *
 * Return: 0 or -ENOMEM.
 */
int kring_hello_say(struct kring_hello *hello, struct kring_mux *mux);

/**
 * kring_hello_received() - the peer has said Hello: for kring_mux_ops.hello
 * @hello: what is known; filled in
 * @mux: multiplexer; answers. When this is another connection than before, its streams are
 *	parked and RESUME is said, where both sides resume; else they are over
 * @message: the encoded Hello
 * @len: its bytes
 *
 * A host also says RESTORED, where the guest does not know of the region's last restore, and
 * holds @mux until kring_restored_answered().
 *
 * Return: 1: another connection, or the first; 0: the same one again; -EBADMSG: it makes no
 * sense; -EPROTO: a version that is not spoken here; -ENOMEM.
 */
int kring_hello_received(struct kring_hello *hello, struct kring_mux *mux,
			 const void *message, size_t len);

/**
 * kring_restored_known() - whether the guest has dealt with a restore, or with a later one
 * @hello: the guest's
 * @restored: generation that the restore has made
 * @uuid: of the region, NULL: not said
 */
bool kring_restored_known(const struct kring_hello *hello, uint64_t restored,
			  const uint8_t *uuid);

/**
 * kring_restored_dealt() - the guest has dealt with RESTORED, and need not be told again
 * @hello: the guest's
 * @generation: of the region now
 * @restored: generation that the restore has made
 * @uuid: of the region, NULL: not said
 */
void kring_restored_dealt(struct kring_hello *hello, uint64_t generation, uint64_t restored,
			  const uint8_t *uuid);

/** kring_restored_answer() - tell that to the host that has said RESTORED; 0 or -ENOMEM */
int kring_restored_answer(struct kring_mux *mux, uint64_t old_generation,
			  uint64_t new_generation);

/** kring_restored_answered() - the host has got that answer: for kring_mux_ops.restored */
void kring_restored_answered(struct kring_hello *hello, struct kring_mux *mux);

#ifdef __cplusplus
}
#endif

#endif /* KRING_MESSAGE_H */
