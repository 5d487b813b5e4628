// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the multiplexer of a client tells.
 */
#include <errno.h>
#include <string.h>

#include "client_internal.h"

static void client_on_output(struct kring_mux *mux)
{
	struct client *client = kring_mux_owner(mux);

	if (client->link)
		link_again(client->link);
	else if (client->waits)
		client_offline(client);
}

static void client_on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct client *client = kring_mux_owner(mux);
	int code = kring_hello_received(&client->hello, mux, message, len);

	if (code == -EPROTO) {
		client_lose(client, code, "the guest's agent speaks another version");
		return;
	}
	if (code < 0) {
		client_lose(client, code, "the guest's agent has sent a strange Hello: %s",
			    strerror(-code));
		return;
	}
	client->timer = sd_event_source_disable_unref(client->timer);
	if (code == 1 && (client->met || client->waits))
		client_meets(client);
	client->met = true;
}

static void client_on_resume(struct kring_mux *mux, const void *message, size_t len)
{
	struct client *client = kring_mux_owner(mux);
	int code = kring_mux_resumed(mux, message, len, NULL, NULL);

	if (code < 0)
		client_lose(client, code, "the guest's agent has sent a strange RESUME");
	else if (code == 1)
		client_resumed(client);
}

static void client_on_restored(struct kring_mux *mux, uint64_t generation, const void *message,
			       size_t len)
{
	struct client *client = kring_mux_owner(mux);

	(void)generation;
	(void)message;
	(void)len;
	kring_restored_answered(&client->hello, mux);
}

static void client_on_pong_frame(struct kring_mux *mux, uint64_t cookie)
{
	struct client *client = kring_mux_owner(mux);

	if (client->pong)
		client->pong(client->pong_owner, cookie);
}

static void client_on_stream(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
			     const void *request, size_t len)
{
	struct client *client = kring_mux_owner(mux);
	Kring__Open *open = kring_unpack(&kring__open__descriptor, request, len);

	if (open && open->token.len == KRING_TOKEN_LEN)
		kring_stream_set_token(stream, open->token.data);
	if (!open)
		kring_reset(stream, EBADMSG, "open", "the request makes no sense");
	else if (client->opened)
		client->opened(client->opened_owner, stream, parent, open);
	else
		kring_reset(stream, ENOENT, "open", "nobody listens here");
	kring_unpack_free(open);
}

const struct kring_mux_ops client_mux_ops = {
	.output = client_on_output,
	.opened = client_on_stream,
	.hello = client_on_hello,
	.pong = client_on_pong_frame,
	.restored = client_on_restored,
	.resume = client_on_resume,
};
