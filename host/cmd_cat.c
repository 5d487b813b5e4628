// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring cat: frames from stdin, frames to stdout.
 *
 * One loop, which waits for whatever can go on. stdin and stdout are often shared with
 * other processes, so they are not made non-blocking: they are polled, and then asked for
 * no more than they can do at once.
 *
 * No byte is ever in this process alone. stdin is read straight into a frame of h2g that
 * has been reserved before; a frame of g2h is written to stdout straight from the ring,
 * and advanced over when all of it is written. So it may be killed at any time.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

static const char help_text[] =
	"Usage: kring cat --region REGION [OPTION...]\n"
	"\n"
	"Own the host's end of REGION. What one read of stdin gives is sent as one frame; the\n"
	"payload of each frame that is received is written to stdout.\n"
	"\n"
	"  -r, --region REGION    made by kring create\n"
	"  -d, --doorbell SOCKET  unix socket of the console port; it may be missing, come and\n"
	"                         go. Without, the rings are looked at ten times a second\n"
	"  -c, --count N          receive N frames, no more\n"
	"  -f, --frame BYTES      largest payload to send (default 4K, or what REGION allows)\n"
	"  -s, --send-only        leave what the guest sends where it is\n"
	"  -v, --verbose          tell when the doorbell is connected\n"
	"  -h, --help             show this\n"
	"\n"
	"It ends, with exit status 0,\n"
	"  on SIGINT or SIGTERM;\n"
	"  with --count, when stdin is at its end and N frames were received;\n"
	"  with --send-only, when stdin is at its end and the guest has taken all of it.\n"
	"It ends with exit status 1 when a ring is poisoned, stdin or stdout fail, or a signal\n"
	"came before --send-only was done.\n"
	"\n"
	"What was read from stdin is in the ring at once, and the guest gets it even if this\n"
	"ends, or is killed. While the ring is full stdin is not read. A frame that was not\n"
	"written to stdout whole stays in the ring, for the next owner of REGION. On a signal,\n"
	"a frame that is partly written is written to its end first; a second signal ends\n"
	"that too.\n";

static const struct option options[] = {
	{ "region", required_argument, NULL, 'r' },
	{ "doorbell", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'c' },
	{ "frame", required_argument, NULL, 'f' },
	{ "send-only", no_argument, NULL, 's' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

#define DEFAULT_FRAME	4096

enum wait_for {
	WAIT_HOST,
	WAIT_SIGNAL,
	WAIT_STDIN,
	WAIT_STDOUT,
	WAITS,
};

enum stdout_kind {
	STDOUT_FILE,
	STDOUT_SOCKET,
	STDOUT_STREAM,
};

/**
 * struct cat - what the loop goes by
 * @region: --region
 * @doorbell: --doorbell or NULL
 * @count: --count, 0: no end
 * @frame: --frame
 * @send_only: --send-only
 * @verbose: --verbose
 * @host: the host's end
 * @signals: signalfd of those that end it
 * @signalled: how many came
 * @kind: of what stdout is
 * @connected: what was told of the doorbell last, -1: nothing
 * @eof: stdin is at its end
 * @reserved: @in is a frame for stdin to be read into
 * @peeked: @out is a frame that is to be written to stdout
 * @written: bytes of it that are
 * @received: frames written whole
 */
struct cat {
	const char *region;
	const char *doorbell;
	uint64_t count;
	uint64_t frame;
	bool send_only;
	bool verbose;
	struct kring_host *host;
	int signals;
	unsigned int signalled;
	enum stdout_kind kind;
	int connected;
	bool eof;
	bool reserved;
	bool peeked;
	struct kring_frame in;
	struct kring_frame out;
	size_t written;
	uint64_t received;
};

static int cat_fail(struct kring_error *err, const char *what, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%.112s: %s", what, why);
	return TOOL_FAILED;
}

static int cat_fail_host(struct cat *cat, int code, struct kring_error *err)
{
	const char *fault = kring_host_fault(cat->host);

	if (!fault || (code != -EBADMSG && code != -ESTALE))
		fault = strerror(-code);
	return cat_fail(err, cat->region, fault);
}

static bool cat_wants_more(const struct cat *cat)
{
	return !cat->send_only && !cat->signalled && (!cat->count || cat->received < cat->count);
}

/* Find what to do next on both sides; -EAGAIN from the host makes its fd wake us. */
static int cat_prepare(struct cat *cat)
{
	int code;

	if (!cat->eof && !cat->signalled && !cat->reserved) {
		code = kring_host_reserve(cat->host, cat->frame, &cat->in);
		if (code && code != -EAGAIN)
			return code;
		cat->reserved = !code;
	}
	if (!cat->peeked && cat_wants_more(cat)) {
		code = kring_host_peek(cat->host, &cat->out);
		if (code && code != -EAGAIN)
			return code;
		cat->peeked = !code;
		cat->written = 0;
	}
	return 0;
}

/* Whether the loop is to end; if so @status says how. */
static bool cat_ends(struct cat *cat, int *status, struct kring_error *err)
{
	int code;

	*status = TOOL_DONE;
	if (cat->send_only && (cat->eof || cat->signalled)) {
		code = kring_host_flush(cat->host);
		if (!code)
			return true;
		if (code != -EAGAIN) {
			*status = cat_fail_host(cat, code, err);
			return true;
		}
		if (!cat->signalled)
			return false;
		snprintf(err->text, sizeof(err->text),
			 "%.112s: stopped; %u bytes wait in h2g for the guest", cat->region,
			 kring_host_pending(cat->host));
		*status = TOOL_FAILED;
		return true;
	}
	if (cat->signalled)
		return cat->signalled > 1 || !cat->peeked || !cat->written;
	return cat->eof && cat->count && cat->received == cat->count;
}

static int cat_read(struct cat *cat, struct kring_error *err)
{
	ssize_t n = read(STDIN_FILENO, cat->in.payload, cat->in.len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return TOOL_DONE;
	if (n < 0)
		return cat_fail(err, "stdin", strerror(errno));

	/* At the end the reserved frame is simply not committed. */
	cat->reserved = false;
	if (!n) {
		cat->eof = true;
		return TOOL_DONE;
	}
	cat->in.len = n;
	kring_host_commit(cat->host, &cat->in);
	kring_host_submit(cat->host);
	return TOOL_DONE;
}

/*
 * Write as much as surely does not block: a pipe that is ready takes PIPE_BUF, a socket
 * can be asked not to wait, and a file does not wait for anybody.
 */
static ssize_t cat_write_some(const struct cat *cat)
{
	const void *from = cat->out.payload + cat->written;
	size_t left = cat->out.len - cat->written;

	if (cat->kind == STDOUT_SOCKET)
		return send(STDOUT_FILENO, from, left, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (cat->kind == STDOUT_STREAM && left > PIPE_BUF)
		left = PIPE_BUF;
	return write(STDOUT_FILENO, from, left);
}

static int cat_write(struct cat *cat, struct kring_error *err)
{
	ssize_t n = cat_write_some(cat);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return TOOL_DONE;
	/* Whoever reads has had enough: no news to anybody. */
	if (n < 0 && errno == EPIPE)
		return TOOL_FAILED;
	if (n < 0)
		return cat_fail(err, "stdout", strerror(errno));

	cat->written += n;
	if (cat->written == cat->out.len) {
		kring_host_advance(cat->host, &cat->out);
		kring_host_release(cat->host);
		cat->peeked = false;
		cat->received++;
	}
	return TOOL_DONE;
}

static void cat_tell_doorbell(struct cat *cat)
{
	int connected = kring_host_connected(cat->host);

	if (!cat->doorbell || connected == cat->connected)
		return;
	cat->connected = connected;
	if (!connected)
		tool_notice("doorbell %s: not connected, trying again", cat->doorbell);
	else if (cat->verbose)
		tool_notice("doorbell %s: connected", cat->doorbell);
}

static int cat_step(struct cat *cat, struct kring_error *err)
{
	struct pollfd fds[WAITS] = {
		[WAIT_HOST] = { .fd = kring_host_fd(cat->host), .events = POLLIN },
		[WAIT_SIGNAL] = { .fd = cat->signals, .events = POLLIN },
		[WAIT_STDIN] = { .fd = cat->reserved ? STDIN_FILENO : -1, .events = POLLIN },
		[WAIT_STDOUT] = { .fd = cat->peeked ? STDOUT_FILENO : -1, .events = POLLOUT },
	};
	struct signalfd_siginfo info;
	int status, code;

	if (poll(fds, WAITS, -1) < 0)
		return errno == EINTR ? TOOL_DONE : cat_fail(err, "poll", strerror(errno));

	if (fds[WAIT_SIGNAL].revents && read(cat->signals, &info, sizeof(info)) > 0) {
		cat->signalled++;
		cat->reserved = false;
	}
	if (fds[WAIT_HOST].revents) {
		code = kring_host_dispatch(cat->host);
		if (code)
			return cat_fail_host(cat, code, err);
	}
	cat_tell_doorbell(cat);
	if (fds[WAIT_STDOUT].revents) {
		status = cat_write(cat, err);
		if (status)
			return status;
	}
	if (fds[WAIT_STDIN].revents && cat->reserved)
		return cat_read(cat, err);
	return TOOL_DONE;
}

static int cat_loop(struct cat *cat, struct kring_error *err)
{
	int status, code;

	cat->connected = -1;
	cat_tell_doorbell(cat);
	for (;;) {
		code = cat_prepare(cat);
		if (code)
			return cat_fail_host(cat, code, err);
		if (cat_ends(cat, &status, err))
			return status;
		status = cat_step(cat, err);
		if (status)
			return status;
	}
}

static int cat_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum stdout_kind cat_stdout_kind(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st))
		return STDOUT_STREAM;
	if (S_ISSOCK(st.st_mode))
		return STDOUT_SOCKET;
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? STDOUT_FILE : STDOUT_STREAM;
}

static int cat_run(struct cat *cat, struct kring_error *err)
{
	struct kring_attach_args args = { .region = cat->region, .doorbell = cat->doorbell };
	size_t max;
	int status;

	cat->kind = cat_stdout_kind();
	cat->signals = cat_signals();
	if (cat->signals < 0)
		return cat_fail(err, "signalfd", strerror(errno));
	if (kring_host_attach(&cat->host, &args, err)) {
		status = TOOL_FAILED;
		goto close_signals;
	}

	max = kring_host_frame_max(cat->host);
	if (!cat->frame)
		cat->frame = max < DEFAULT_FRAME ? max : DEFAULT_FRAME;
	if (cat->frame > max) {
		snprintf(err->text, sizeof(err->text),
			 "%.112s: --frame %llu: the largest that fits is %zu", cat->region,
			 (unsigned long long)cat->frame, max);
		status = TOOL_FAILED;
		goto detach;
	}
	status = cat_loop(cat, err);

detach:
	kring_host_detach(cat->host);
close_signals:
	close(cat->signals);
	return status;
}

int cmd_cat(int argc, char **argv, struct kring_error *err)
{
	struct cat cat = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, ":r:d:c:f:svh", options, NULL)) >= 0) {
		switch (opt) {
		case 'r':
			cat.region = optarg;
			break;
		case 'd':
			cat.doorbell = optarg;
			break;
		case 'c':
			if (!parse_count(optarg, &cat.count))
				return tool_usage(err, "--count %.64s: not a number", optarg);
			break;
		case 'f':
			if (!parse_bytes(optarg, &cat.frame))
				return tool_usage(err, "--frame %.64s: not a size", optarg);
			break;
		case 's':
			cat.send_only = true;
			break;
		case 'v':
			cat.verbose = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "cat: what is %.64s?", argv[optind]);
	if (!cat.region)
		return tool_usage(err, "cat: --region is needed");
	if (cat.send_only && cat.count)
		return tool_usage(err, "cat: --send-only receives nothing, --count cannot be");
	return cat_run(&cat, err);
}
