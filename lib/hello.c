// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Hello: who is at the other end, and whether it is still who it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "message.h"
#include "mux.h"

void kring_hello_init(struct kring_hello *hello, const char *agent)
{
	memset(hello, 0, sizeof(*hello));
	hello->agent = agent;
	/* 0 is nobody's. */
	do {
		if (getrandom(&hello->instance, sizeof(hello->instance), 0) !=
		    sizeof(hello->instance))
			hello->instance = 0;
	} while (!hello->instance);
}

static int say(struct kring_hello *hello, struct kring_mux *mux, bool reply)
{
	Kring__Hello message = KRING__HELLO__INIT;
	size_t len;
	void *bytes;
	int code;

	message.version = KRING_STREAM_VERSION;
	message.reply = reply;
	message.instance = hello->instance;
	message.frame_max = KRING_STREAM_FRAME_MAX;
	message.streams_max = hello->streams_max;
	message.generation = hello->generation;
	message.agent = (char *)hello->agent;
	message.services = (char **)hello->services;
	while (message.services && message.services[message.n_services])
		message.n_services++;

	bytes = kring_pack(&message.base, &len);
	if (!bytes)
		return -ENOMEM;
	code = kring_mux_hello(mux, bytes, len);
	free(bytes);
	return code;
}

int kring_hello_say(struct kring_hello *hello, struct kring_mux *mux)
{
	return say(hello, mux, false);
}

/* It is going to be logged, and shown on terminals. */
static void copy_printable(char *to, size_t size, const char *from)
{
	size_t i;

	for (i = 0; i < size - 1 && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

static void forget_streams(struct kring_mux *mux)
{
	size_t len;
	void *error = kring_pack_error(ECONNRESET, "connection", "the other end was replaced",
				       &len);

	kring_mux_reset_all(mux, error, error ? len : 0);
	free(error);
}

int kring_hello_received(struct kring_hello *hello, struct kring_mux *mux,
			 const void *message, size_t len)
{
	Kring__Hello *said = kring_unpack(&kring__hello__descriptor, message, len);
	bool another;
	int code = 0;

	if (!said)
		return -EBADMSG;
	if (!said->version || !said->instance) {
		code = said->version ? -EBADMSG : -EPROTO;
		kring_unpack_free(said);
		return code;
	}
	another = !hello->said || hello->peer_instance != said->instance;
	if (hello->said && another)
		forget_streams(mux);
	hello->said = true;
	hello->peer_instance = said->instance;
	hello->peer_generation = said->generation;
	hello->peer_streams_max = said->streams_max;
	copy_printable(hello->peer_agent, sizeof(hello->peer_agent), said->agent);
	kring_mux_set_peer(mux, said->frame_max);
	if (!said->reply)
		code = say(hello, mux, true);
	kring_unpack_free(said);
	return code ? code : another;
}
