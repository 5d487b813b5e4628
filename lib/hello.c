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

static int say(struct kring_hello *hello, struct kring_mux *mux, uint64_t answers)
{
	Kring__Hello message = KRING__HELLO__INIT;
	size_t len;
	void *bytes;
	int code;

	message.version = KRING_STREAM_VERSION;
	message.answers = answers;
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
	if (!hello->said)
		kring_mux_set_deaf(mux, true);
	return say(hello, mux, 0);
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

/*
 * Whether what was said is for us. A Hello that answers none may be an old one, which lay in
 * the ring: a host that was just attached waits for an answer to its own. To a guest it may be
 * the beginning of all that follows it.
 */
static bool for_us(const struct kring_hello *hello, const struct kring_mux *mux,
		   const Kring__Hello *said)
{
	if (said->answers)
		return said->answers == hello->instance;
	return hello->said || kring_mux_role(mux) == KRING_ROLE_GUEST;
}

static int adopt(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	bool another = !hello->said || hello->peer_instance != said->instance;

	if (hello->said && another)
		forget_streams(mux);
	hello->said = true;
	hello->peer_instance = said->instance;
	hello->peer_generation = said->generation;
	hello->peer_streams_max = said->streams_max;
	copy_printable(hello->peer_agent, sizeof(hello->peer_agent), said->agent);
	kring_mux_set_peer(mux, said->frame_max);
	kring_mux_set_deaf(mux, false);
	return another;
}

int kring_hello_received(struct kring_hello *hello, struct kring_mux *mux,
			 const void *message, size_t len)
{
	Kring__Hello *said = kring_unpack(&kring__hello__descriptor, message, len);
	int code = 0, another = 0;

	if (!said)
		return -EBADMSG;
	if (!said->version)
		code = -EPROTO;
	else if (!said->instance)
		code = -EBADMSG;
	if (!code && for_us(hello, mux, said))
		another = adopt(hello, mux, said);
	/* Who said an old one may have read our own before it ended, and not have answered. */
	if (!code && !said->answers)
		code = say(hello, mux, hello->said ? said->instance : 0);
	kring_unpack_free(said);
	return code ? code : another;
}
