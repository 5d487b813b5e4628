// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring forward: connections from the host to the guest, or from the guest to the host.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "dial.h"
#include "forward_spec.h"
#include "listener.h"
#include "printable.h"

static const char help_text[] =
	"Usage: kring forward [OPTION...] {[-R] LISTEN:CONNECT}...\n"
	"\n"
	"Listen on the host, and connect whoever comes to something in the guest; behind -R,\n"
	"listen in the guest, and connect to something of the host's. Runs until SIGINT or\n"
	"SIGTERM.\n"
	"\n"
	"LISTEN is [BIND:]PORT or the path of a unix socket; without BIND it is 127.0.0.1, and\n"
	"port 0 is any that is free. CONNECT is HOST:PORT, PORT (of 127.0.0.1), the path of a\n"
	"unix socket, or, in the guest, vsock:PORT. Paths begin with / or ., abstract names with\n"
	"@, and IPv6 addresses are in brackets.\n"
	"\n"
	"  kring forward 8080:80\n"
	"  kring forward 127.0.0.1:8080:localhost:80 /tmp/docker.sock:/run/docker.sock\n"
	"  kring forward -R 5432:db.example:5432\n"
	"\n"
	"  -R, --reverse LISTEN:CONNECT\n"
	"                          listen in the guest\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

static const struct option options[] = {
	{ "reverse", required_argument, NULL, 'R' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

struct forwarder;

/**
 * struct forward - one of the command line's
 * @forwarder: whose
 * @reverse: it listens in the guest
 * @spec: what it is
 * @listener: on the host
 * @target: of the host's, where it is reverse
 * @stream: that listens in the guest
 */
struct forward {
	struct forwarder *forwarder;
	bool reverse;
	struct forward_spec spec;
	struct listener *listener;
	struct target target;
	struct kring_stream *stream;
};

/**
 * struct forwarder - all of them
 * @client: connection
 * @err: why it ends
 * @failed: it ends for a failure
 * @list: forwards
 * @count: how many
 * @dials: connections
 */
struct forwarder {
	struct client *client;
	struct kring_error *err;
	bool failed;
	struct forward *list;
	unsigned int count;
	struct dials dials;
};

static void forward_fail(struct forward *forward)
{
	forward->forwarder->failed = true;
	client_stop(forward->forwarder->client);
}

/*
 * From the host to the guest
 */

static void forward_on_accepted(int fd, void *owner)
{
	struct forward *forward = owner;
	const struct forward_end *to = &forward->spec.connect;
	struct forwarder *forwarder = forward->forwarder;
	Kring__Connect connect = KRING__CONNECT__INIT;
	struct kring_stream *stream;
	char text[300];

	forward_end_text(to, text, sizeof(text));
	switch (to->kind) {
	case FORWARD_TCP:
		connect.where_case = KRING__CONNECT__WHERE_TCP;
		connect.tcp = text;
		break;
	case FORWARD_UNIX:
		connect.where_case = KRING__CONNECT__WHERE_PATH;
		connect.path.data = (uint8_t *)to->path;
		connect.path.len = strlen(to->path);
		break;
	case FORWARD_VSOCK:
		connect.where_case = KRING__CONNECT__WHERE_VSOCK;
		connect.vsock = strtoul(to->port, NULL, 10);
		break;
	}
	stream = kring_open(client_mux(forwarder->client), "connect", &connect.base, 1 << 0, NULL,
			    NULL);
	if (!stream) {
		tool_notice("forward: %s", strerror(errno));
		close(fd);
		return;
	}
	/* What it sends at once follows the OPEN at once. */
	if (relay_start(&forwarder->dials.relays, client_loop(forwarder->client), stream, fd)) {
		kring_reset(stream, ENOMEM, "connect", "the host has no memory");
		close(fd);
	}
}

static int forward_listen(struct forward *forward, struct kring_error *err)
{
	const struct forward_end *at = &forward->spec.listen;
	sd_event *loop = client_loop(forward->forwarder->client);
	char text[300];
	int code;

	if (at->kind == FORWARD_UNIX)
		code = listener_unix(&forward->listener, loop, SOCK_STREAM, at->path,
				     forward_on_accepted, forward, err);
	else
		code = listener_tcp(&forward->listener, loop, at->host, at->port,
				    forward_on_accepted, forward, err);
	if (code)
		return code;
	tool_notice("forward: listening on %.200s, to the guest's %.200s",
		    listener_address(forward->listener),
		    forward_end_text(&forward->spec.connect, text, sizeof(text)));
	return 0;
}

/*
 * From the guest to the host
 */

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
	forward_fail(forward);
}

static void reverse_on_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct forward *forward = kring_stream_owner(stream);

	forward->stream = NULL;
	client_error(forward->forwarder->err, error, len);
	forward_fail(forward);
}

static const struct kring_stream_ops reverse_ops = {
	.accepted = reverse_on_accepted,
	.closed = reverse_on_closed,
	.reset = reverse_on_reset,
};

static void forwarder_on_opened(void *owner, struct kring_stream *stream, uint32_t parent)
{
	struct forwarder *forwarder = owner;
	struct forward *forward;

	for (forward = forwarder->list; forward < forwarder->list + forwarder->count; forward++) {
		if (forward->stream && kring_stream_number(forward->stream) == parent) {
			dial(&forwarder->dials, stream, &forward->target);
			return;
		}
	}
	kring_reset(stream, ENOENT, "open", "nobody listens here");
}

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

static int reverse_listen(struct forward *forward, struct kring_error *err)
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

/*
 * All of them
 */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct forwarder *forwarder = userdata;

	(void)source;
	(void)info;
	client_stop(forwarder->client);
	return 0;
}

static int catch_signals(struct forwarder *forwarder, struct kring_error *err)
{
	sd_event *loop = client_loop(forwarder->client);
	sigset_t set;
	int code;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	code = sd_event_add_signal(loop, NULL, SIGINT, on_signal, forwarder);
	if (code >= 0)
		code = sd_event_add_signal(loop, NULL, SIGTERM, on_signal, forwarder);
	if (code < 0)
		snprintf(err->text, sizeof(err->text), "signals: %s", strerror(-code));
	return code < 0 ? code : 0;
}

/* Each connection is a file. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int start_all(struct forwarder *forwarder, struct kring_error *err)
{
	struct forward *forward;
	int code;

	code = catch_signals(forwarder, err);
	for (forward = forwarder->list; !code && forward < forwarder->list + forwarder->count;
	     forward++) {
		forward->forwarder = forwarder;
		code = forward->reverse ? reverse_listen(forward, err) :
					  forward_listen(forward, err);
	}
	return code;
}

static void stop_all(struct forwarder *forwarder)
{
	struct forward *forward;

	for (forward = forwarder->list; forward < forwarder->list + forwarder->count; forward++) {
		listener_close(forward->listener);
		if (forward->stream)
			kring_reset(forward->stream, ECANCELED, "listen", "not wanted any more");
		target_clear(&forward->target);
	}
	dials_end(&forwarder->dials, ECANCELED, "kring forward has ended");
}

static int forward_run(struct forwarder *forwarder, const struct client_args *args)
{
	int code;

	signal(SIGPIPE, SIG_IGN);
	raise_files();
	if (client_open(&forwarder->client, args, forwarder->err))
		return TOOL_FAILED;
	forwarder->dials.loop = client_loop(forwarder->client);
	client_on_opened(forwarder->client, forwarder_on_opened, forwarder);
	code = start_all(forwarder, forwarder->err);
	if (!code)
		code = client_run(forwarder->client, forwarder->err);
	stop_all(forwarder);
	client_close(forwarder->client);
	return code || forwarder->failed ? TOOL_FAILED : TOOL_DONE;
}

static int add_forward(struct forwarder *forwarder, const char *text, bool reverse,
		       struct kring_error *err)
{
	struct forward *more = realloc(forwarder->list,
				       (forwarder->count + 1) * sizeof(*more));

	if (!more)
		return tool_usage(err, "forward: no memory");
	forwarder->list = more;
	more += forwarder->count;
	memset(more, 0, sizeof(*more));
	more->reverse = reverse;
	if (forward_parse(&more->spec, text, err))
		return TOOL_USAGE;
	forwarder->count++;
	return TOOL_DONE;
}

static int take_options(struct forwarder *forwarder, struct client_args *client, int argc,
			char **argv, struct kring_error *err)
{
	int opt, code;

	while ((opt = getopt_long(argc, argv, ":R:h", options, NULL)) >= 0) {
		code = client_option(client, opt, optarg, err);
		if (code < 0)
			return TOOL_USAGE;
		if (code)
			continue;
		if (opt == 'h')
			return -1;
		if (opt != 'R')
			return tool_bad_option(opt, argv, err);
		code = add_forward(forwarder, optarg, true, err);
		if (code)
			return code;
	}
	for (; optind < argc; optind++) {
		code = add_forward(forwarder, argv[optind], false, err);
		if (code)
			return code;
	}
	if (!forwarder->count)
		return tool_usage(err, "forward: what is to be forwarded?");
	return TOOL_DONE;
}

int cmd_forward(int argc, char **argv, struct kring_error *err)
{
	struct client_args client = CLIENT_ARGS_INIT;
	struct forwarder forwarder = { .err = err };
	unsigned int i;
	int status;

	status = take_options(&forwarder, &client, argc, argv, err);
	if (status == TOOL_DONE) {
		status = forward_run(&forwarder, &client);
	} else if (status < 0) {
		fputs(help_text, stdout);
		status = TOOL_DONE;
	}
	for (i = 0; i < forwarder.count; i++)
		forward_spec_clear(&forwarder.list[i].spec);
	free(forwarder.list);
	return status;
}
