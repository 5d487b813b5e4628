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

#include "forward.h"

static const char help_text[] =
	"Usage: kring forward [OPTION...] {[-R] LISTEN:CONNECT}...\n"
	"       kring forward [OPTION...] {--service NAME=ADDRESS | --vsock-uds PATH}...\n"
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
	"      --service NAME=ADDRESS\n"
	"                          connect programs of the guest that ask for NAME, at\n"
	"                          /run/kring/host.sock, to ADDRESS: unix:PATH or tcp:HOST:PORT\n"
	"      --vsock-uds PATH    listen on the unix socket PATH for programs that say\n"
	"                          \"CONNECT PORT\", and connect them to the guest's vsock PORT;\n"
	"                          and programs of the guest that ask for vsock:PORT, to PATH_PORT\n"
	CLIENT_HELP
	"  -h, --help              show this\n";

enum {
	OPTION_SERVICE = 1,
	OPTION_VSOCK_UDS,
};

static const struct option options[] = {
	{ "reverse", required_argument, NULL, 'R' },
	{ "service", required_argument, NULL, OPTION_SERVICE },
	{ "vsock-uds", required_argument, NULL, OPTION_VSOCK_UDS },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

void forwarder_fail(struct forwarder *forwarder)
{
	forwarder->failed = true;
	client_stop(forwarder->client);
}

static void forwarder_on_opened(void *owner, struct kring_stream *stream, uint32_t parent,
				const Kring__Open *open)
{
	struct forwarder *forwarder = owner;
	struct forward *forward;

	if (forwarder->serving && kring_stream_number(forwarder->serving) == parent) {
		forward_serve_opened(forwarder, stream, open);
		return;
	}
	for (forward = forwarder->list; forward < forwarder->list + forwarder->count; forward++) {
		if (forward->stream && kring_stream_number(forward->stream) == parent) {
			dial(&forwarder->dials, stream, &forward->target);
			return;
		}
	}
	kring_reset(stream, ENOENT, "open", "nobody listens here");
}

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
		code = forward->reverse ? forward_reverse(forward, err) :
					  forward_listen(forward, err);
	}
	return code ? code : forward_serve(forwarder, err);
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
	forward_serve_end(forwarder);
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

static int take_option(struct forwarder *forwarder, int opt, char **argv,
		       struct kring_error *err)
{
	switch (opt) {
	case 'R':
		return add_forward(forwarder, optarg, true, err);
	case OPTION_SERVICE:
		return local_services_add(&forwarder->services, optarg, err);
	case OPTION_VSOCK_UDS:
		/* The sockets of ports are files beside it. */
		if (*optarg == '@')
			return tool_usage(err, "--vsock-uds %.64s: it must be a path", optarg);
		forwarder->vsock_path = optarg;
		return TOOL_DONE;
	}
	return tool_bad_option(opt, argv, err);
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
		code = take_option(forwarder, opt, argv, err);
		if (code)
			return code;
	}
	for (; optind < argc; optind++) {
		code = add_forward(forwarder, argv[optind], false, err);
		if (code)
			return code;
	}
	if (!forwarder->count && !forwarder->services.count && !forwarder->vsock_path)
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
	local_services_clear(&forwarder.services);
	return status;
}
