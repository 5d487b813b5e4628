// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "connect": a connection of the guest's, for the host. The addresses that a name
 * stands for are tried one after the other.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "relay.h"
#include "services.h"

/**
 * struct connecting - one that is not there yet
 * @op: connects
 * @loop: event loop
 * @stream: NULL: nobody wants it any more
 * @fd: socket, -1: none
 * @next: address to try next
 * @addresses: all of them
 */
struct connecting {
	struct loop_op op;
	struct loop *loop;
	struct kring_stream *stream;
	int fd;
	unsigned int next;
	struct addresses addresses;
};

static void connecting_free(struct connecting *c)
{
	if (c->op.busy)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

/* The first address is the one that was meant, the others are other ways to get there. */
static void refuse(struct connecting *c, int code)
{
	char text[ADDRESS_TEXT];

	kring_reset(c->stream, -code, "connect", "%s: %s",
		    address_text(&c->addresses.list[0], text), strerror(-code));
	connecting_free(c);
}

static void try_next(struct connecting *c, int code)
{
	struct address *address;

	for (; c->next < c->addresses.count; code = -errno) {
		address = &c->addresses.list[c->next++];
		if (c->fd >= 0)
			close(c->fd);
		c->fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd < 0)
			continue;
		loop_connect(c->loop, &c->op, c->fd, (struct sockaddr *)&address->sa,
			     address->len);
		return;
	}
	refuse(c, code);
}

static void connected(struct connecting *c)
{
	int code;

	code = kring_accept(c->stream, NULL, 1 << 0);
	if (!code)
		code = relay_start(c->loop, c->stream, c->fd);
	if (code) {
		refuse(c, code);
		return;
	}
	c->fd = -1;
	connecting_free(c);
}

static void connect_done(struct loop_op *op, int result)
{
	struct connecting *c = (struct connecting *)((char *)op - offsetof(struct connecting, op));

	if (!c->stream)
		connecting_free(c);
	else if (result)
		try_next(c, result);
	else
		connected(c);
}

static void connect_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct connecting *c = kring_stream_owner(stream);

	(void)error;
	(void)len;
	c->stream = NULL;
	loop_cancel(c->loop, &c->op);
	connecting_free(c);
}

static const struct kring_stream_ops connect_ops = {
	.reset = connect_reset,
};

static int resolve(struct addresses *addresses, const Kring__Connect *request)
{
	switch (request->where_case) {
	case KRING__CONNECT__WHERE_TCP:
		return addresses_tcp(addresses, request->tcp, false);
	case KRING__CONNECT__WHERE_PATH:
		return addresses_unix(addresses, request->path.data, request->path.len);
	case KRING__CONNECT__WHERE_VSOCK:
		addresses_vsock(addresses, request->vsock);
		return 0;
	default:
		return -EINVAL;
	}
}

static void refuse_address(struct kring_stream *stream, const Kring__Connect *request, int code)
{
	if (request->where_case == KRING__CONNECT__WHERE_TCP && code == -ENOENT)
		kring_reset(stream, ENOENT, "connect",
			    "%.200s: only numbers, localhost and names of the guest's /etc/hosts are known",
			    request->tcp);
	else if (request->where_case == KRING__CONNECT__WHERE_TCP)
		kring_reset(stream, -code, "connect", "%.200s: not HOST:PORT", request->tcp);
	else if (code == -ENAMETOOLONG)
		kring_reset(stream, -code, "connect", "path: longer than a socket's may be");
	else
		kring_reset(stream, -code, "connect",
			    "where to? A socket's path begins with / or @");
}

static void connect_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct connecting *c = calloc(1, sizeof(*c));
	int code;

	if (!c) {
		kring_reset(stream, ENOMEM, "connect", "%s", strerror(ENOMEM));
		return;
	}
	c->op.done = connect_done;
	c->loop = &agent->loop;
	c->stream = stream;
	c->fd = -1;
	code = resolve(&c->addresses, request);
	if (code) {
		refuse_address(stream, request, code);
		connecting_free(c);
		return;
	}
	kring_stream_set_ops(stream, &connect_ops, c);
	try_next(c, -EADDRNOTAVAIL);
}

const struct service service_connect = {
	.name = "connect",
	.request = &kring__connect__descriptor,
	.open = connect_open,
};
