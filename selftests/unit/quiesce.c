// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring_quiesce() and kring_thaw(): what they ask, and what they make of all answers.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <message.h>
#include <mux.h>
#include <quiesce.h>
#include <tap.h>

#include "scratch.h"

enum manner {
	AGREES,
	REFUSES,
	RAVES,		/* refuses, with an Error that is none */
	HANGS_UP,
	IS_SILENT,
};

/**
 * struct agent - the guest's end
 * @manner: what it does when it is asked
 * @socket: where
 * @listener: its descriptor
 * @fd: of the client
 * @mux: streams
 * @hello: what was said
 * @thread: runs it
 * @asked: service that was opened
 * @timeout: as of the request
 * @gone: it is to hang up
 * @closed: the client has closed its stream, as it should
 */
struct agent {
	enum manner manner;
	char socket[SCRATCH_LEN + 16];
	int listener;
	int fd;
	struct kring_mux *mux;
	struct kring_hello hello;
	pthread_t thread;
	char asked[32];
	uint64_t timeout;
	bool gone;
	bool closed;
};

static char dir[SCRATCH_LEN];

static void on_hello(struct kring_mux *mux, const void *message, size_t len)
{
	struct agent *agent = kring_mux_owner(mux);

	must(kring_hello_received(&agent->hello, mux, message, len) >= 0);
}

static void on_done(void *owner, bool closed)
{
	((struct agent *)owner)->closed = closed;
}

static void on_opened(struct kring_mux *mux, struct kring_stream *stream, uint32_t parent,
		      const void *request, size_t len)
{
	struct agent *agent = kring_mux_owner(mux);
	Kring__Open *open = kring_unpack(&kring__open__descriptor, request, len);
	Kring__Quiesce *wanted;

	(void)parent;
	must(open);
	snprintf(agent->asked, sizeof(agent->asked), "%s", open->service);
	wanted = kring_unpack(&kring__quiesce__descriptor, open->request.data, open->request.len);
	must(wanted);
	agent->timeout = wanted->timeout;
	kring_unpack_free(wanted);
	kring_unpack_free(open);
	switch (agent->manner) {
	case AGREES:
		kring_accept(stream, NULL, 0);
		kring_stream_on_done(stream, on_done, agent);
		kring_close(stream, NULL);
		break;
	case REFUSES:
		kring_accept(stream, NULL, 0);
		kring_reset(stream, ECANCELED, "freeze.d", "20-db exited\nwith 3\033[2J");
		break;
	case RAVES:
		kring_stream_reset(stream, "\xff\xff\xff", 3);
		break;
	default:
		agent->gone = true;
	}
}

static const struct kring_mux_ops ops = {
	.hello = on_hello,
	.opened = on_opened,
};

static void *serve(void *owner)
{
	struct kring_mux_args args = {
		.role = KRING_ROLE_GUEST,
		.frame_max = KRING_STREAM_FRAME_MAX,
		.ops = &ops,
		.owner = owner,
	};
	static __thread uint8_t frame[KRING_STREAM_FRAME_MAX];
	struct agent *agent = owner;
	ssize_t len;

	agent->fd = accept(agent->listener, NULL, NULL);
	must(agent->fd >= 0);
	agent->mux = kring_mux_new(&args);
	must(agent->mux);
	kring_hello_init(&agent->hello, "fake");
	while (!agent->gone && (len = recv(agent->fd, frame, sizeof(frame), 0)) > 0) {
		if (agent->manner == IS_SILENT)
			continue;
		must(!kring_mux_receive(agent->mux, frame, len));
		while ((len = kring_mux_pull(agent->mux, frame, sizeof(frame))))
			send(agent->fd, frame, len, MSG_NOSIGNAL);
	}
	kring_mux_free(agent->mux);
	close(agent->fd);
	close(agent->listener);
	return NULL;
}

static void start(struct agent *agent, enum manner manner)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(agent, 0, sizeof(*agent));
	agent->manner = manner;
	snprintf(agent->socket, sizeof(agent->socket), "%s/%d", dir, manner);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", agent->socket);
	unlink(agent->socket);
	agent->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(!bind(agent->listener, (struct sockaddr *)&addr, sizeof(addr)));
	must(!listen(agent->listener, 1));
	must(!pthread_create(&agent->thread, NULL, serve, agent));
}

/* Until the client has hung up, or it has itself. */
static void finish(struct agent *agent)
{
	must(!pthread_join(agent->thread, NULL));
}

static void test_agrees(void)
{
	struct kring_error err = { "" };
	struct agent agent;
	int code;

	start(&agent, AGREES);
	code = kring_quiesce(agent.socket, 1500, &err);
	finish(&agent);
	ok(!code && !err.text[0], "quiesced");
	ok(!strcmp(agent.asked, "quiesce") && agent.timeout == 1500000000ull, "as was asked for");
	ok(agent.closed, "the stream is closed from both ends");

	start(&agent, AGREES);
	code = kring_quiesce(agent.socket, 0, NULL);
	finish(&agent);
	ok(!code && !agent.timeout, "quiesced, for as long as the guest thinks right");

	start(&agent, AGREES);
	code = kring_thaw(agent.socket, &err);
	finish(&agent);
	ok(!code && !strcmp(agent.asked, "thaw"), "thawed");
}

static void test_refuses(void)
{
	struct kring_error err = { "" };
	struct agent agent;
	int code;

	start(&agent, REFUSES);
	code = kring_quiesce(agent.socket, 0, &err);
	finish(&agent);
	ok(code == -ECANCELED && !strcmp(err.text, "freeze.d: 20-db exited?with 3?[2J"),
	   "a hook refuses, and is named in one line: %s", err.text);

	start(&agent, REFUSES);
	code = kring_thaw(agent.socket, NULL);
	finish(&agent);
	ok(code == -ECANCELED, "the same for who does not want to know why");

	start(&agent, RAVES);
	code = kring_quiesce(agent.socket, 0, &err);
	finish(&agent);
	ok(code == -EPROTO && strstr(err.text, "makes no sense"), "no sense: %s", err.text);
}

static void test_nobody(void)
{
	struct kring_error err = { "" };
	char path[200], longer[300];
	struct agent agent;
	int code;

	start(&agent, HANGS_UP);
	code = kring_quiesce(agent.socket, 0, &err);
	finish(&agent);
	ok(code == -ECONNRESET && strstr(err.text, "connection to the guest lost"),
	   "the other side hangs up: %s", err.text);

	snprintf(path, sizeof(path), "%s/none", dir);
	code = kring_quiesce(path, 0, &err);
	ok(code == -ENOENT && strstr(err.text, "/none: "), "there is nobody: %s", err.text);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	code = kring_thaw(longer, &err);
	ok(code == -ENAMETOOLONG && strstr(err.text, "xxx: "), "no name of a socket");
}

static void test_silent(void)
{
	struct timespec before, after;
	struct kring_error err = { "" };
	struct agent agent;
	int code;

	start(&agent, IS_SILENT);
	clock_gettime(CLOCK_MONOTONIC, &before);
	code = kring_quiesce(agent.socket, 0, &err);
	clock_gettime(CLOCK_MONOTONIC, &after);
	finish(&agent);
	ok(code == -ETIMEDOUT && strstr(err.text, "Hello"), "nobody says anything: %s", err.text);
	ok(after.tv_sec - before.tv_sec >= 9 && after.tv_sec - before.tv_sec < 20,
	   "it does not wait for ever");
}

int main(void)
{
	scratch_make(dir);
	test_agrees();
	test_refuses();
	test_nobody();
	test_silent();
	return tap_done();
}
