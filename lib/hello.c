// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Hello: who is at the other end, and whether it is still who it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "message.h"
#include "mux.h"
#include "restored.h"

/* 0 is nobody's. */
static uint64_t random_number(void)
{
	uint64_t number;

	while (kring_random(&number, sizeof(number)) || !number)
		;
	return number;
}

void kring_hello_init(struct kring_hello *hello, const char *agent)
{
	memset(hello, 0, sizeof(*hello));
	hello->agent = agent;
	hello->instance = random_number();
	hello->process = random_number();
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
	message.resumes = hello->resumes;
	message.process = hello->process;
	message.restored = hello->restored;
	if (hello->has_uuid) {
		message.uuid.data = (uint8_t *)hello->uuid;
		message.uuid.len = sizeof(hello->uuid);
	}
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
	if (!hello->said) {
		kring_mux_set_deaf(mux, true);
		/* A guest that was restored is told so before anything is opened. */
		if (hello->has_uuid && kring_mux_role(mux) == KRING_ROLE_HOST)
			kring_mux_hold(mux, true);
	}
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

static void forget_streams(struct kring_mux *mux, const char *why)
{
	size_t len;
	void *error = kring_pack_error(ECONNRESET, "connection", why, &len);

	kring_mux_reset_all(mux, error, error ? len : 0);
	free(error);
}

void kring_hello_forget(struct kring_hello *hello, struct kring_mux *mux, const char *why)
{
	forget_streams(mux, why);
	hello->process = random_number();
}

void kring_hello_anew(struct kring_hello *hello, struct kring_mux *mux, const char *why)
{
	bool resumes = hello->resumes && (hello->peer_resumes || !hello->peer_instance);

	if (resumes)
		kring_mux_park(mux);
	else
		forget_streams(mux, why);
	hello->instance = random_number();
	hello->said = false;
	hello->restoring = false;
	kring_mux_hold(mux, false);
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

/* Another connection: what becomes of the streams of the last one. */
static void meet(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	static const char replaced[] = "the other end was replaced";

	if (!hello->resumes || !said->resumes) {
		/* In the first connection there is none yet that could be lost. */
		if (hello->peer_instance)
			forget_streams(mux, replaced);
		return;
	}
	/* Those that were opened since it was lost are on their way. */
	if (hello->said)
		kring_mux_park(mux);
	if (hello->peer_process && hello->peer_process != said->process)
		kring_mux_doubt(mux);
}

static void adopt(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	hello->said = true;
	hello->peer_instance = said->instance;
	hello->peer_process = said->process;
	hello->peer_generation = said->generation;
	hello->peer_streams_max = said->streams_max;
	hello->peer_resumes = said->resumes;
	copy_printable(hello->peer_agent, sizeof(hello->peer_agent), said->agent);
	kring_mux_set_peer(mux, said->frame_max);
	kring_mux_set_deaf(mux, false);
	/* A new process has nothing to be told of. */
	if (kring_mux_role(mux) == KRING_ROLE_GUEST && !hello->has_uuid &&
	    said->uuid.len == sizeof(hello->uuid)) {
		hello->has_uuid = true;
		hello->restored = said->restored;
		memcpy(hello->uuid, said->uuid.data, sizeof(hello->uuid));
	}
}

/* Who said an old one may have read our own before it ended, and not have answered. */
static int answer(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	return say(hello, mux, hello->said ? said->instance : 0);
}

/* What follows the Hellos, in this order. */
static int begin(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	int code = 0;

	hello->restoring = false;
	if (kring_mux_role(mux) == KRING_ROLE_GUEST) {
		restored_expect(hello, said);
	} else {
		code = restored_say(hello, mux, said);
		kring_mux_hold(mux, hello->restoring);
	}
	if (!code && hello->resumes && said->resumes)
		code = kring_mux_resume(mux, NULL, 0, !hello->relays);
	return code;
}

int kring_hello_received(struct kring_hello *hello, struct kring_mux *mux,
			 const void *message, size_t len)
{
	Kring__Hello *said = kring_unpack(&kring__hello__descriptor, message, len);
	bool another = false;
	int code = 0;

	if (!said)
		return -EBADMSG;
	if (!said->version)
		code = -EPROTO;
	else if (!said->instance)
		code = -EBADMSG;
	if (code)
		goto free_said;
	if (for_us(hello, mux, said)) {
		another = !hello->said || hello->peer_instance != said->instance;
		if (another)
			meet(hello, mux, said);
		adopt(hello, mux, said);
	}
	if (!said->answers)
		code = answer(hello, mux, said);
	if (another && !code)
		code = begin(hello, mux, said);
free_said:
	kring_unpack_free(said);
	return code ? code : another;
}
