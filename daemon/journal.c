// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The journal: what journalctl prints. It is read when the host has room for it: a host that
 * does not read stops journalctl, not us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guestlog.h"
#include "helper.h"

/* Bytes at a time. */
#define CHUNK	16384

/**
 * struct journal - one journalctl
 * @agent: for whom
 * @stream: the host's, NULL: it has lost interest
 * @helper: the program
 * @fd: its output, -1: there was its end
 * @op: waits for more of it
 * @status: how the program has ended
 */
struct journal {
	struct agent *agent;
	struct kring_stream *stream;
	struct helper helper;
	int fd;
	struct loop_op op;
	int status;
};

bool journal_exists(void)
{
	return !access("/run/systemd/journal", F_OK) && !access("/usr/bin/journalctl", X_OK);
}

/* When program and output have both ended, it is over. */
static void journal_put(struct journal *journal)
{
	char text[64];

	if (journal->helper.child.pid || journal->op.busy || journal->fd >= 0)
		return;
	if (journal->stream && journal->status) {
		kring_reset(journal->stream, EIO, "log", "journalctl %s",
			    helper_status_text(journal->status, text, sizeof(text)));
	} else if (journal->stream) {
		kring_stream_eof(journal->stream, 0);
		kring_close(journal->stream, NULL);
	}
	free(journal);
}

static void journal_end_output(struct journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
	journal_put(journal);
}

/* Nobody is interested any more. */
static void journal_give_up(struct journal *journal)
{
	journal->stream = NULL;
	helper_kill(&journal->helper, SIGTERM);
	if (journal->op.busy)
		loop_cancel(&journal->agent->loop, &journal->op);
	else
		journal_end_output(journal);
}

/* From the pipe to the stream. */
static void journal_move(struct journal *journal)
{
	size_t room;
	ssize_t len;
	void *at;

	room = kring_stream_reserve(journal->stream, 0, CHUNK, &at);
	/* journal_writable() goes on. */
	if (!room)
		return;
	do {
		len = read(journal->fd, at, room);
	} while (len < 0 && errno == EINTR);
	kring_stream_commit(journal->stream, 0, len < 0 ? 0 : len);
	if (!len || (len < 0 && errno != EAGAIN))
		journal_end_output(journal);
	else
		loop_poll(&journal->agent->loop, &journal->op, journal->fd, POLLIN);
}

static void journal_readable(struct loop_op *op, int result)
{
	struct journal *journal = container_of(op, struct journal, op);

	(void)result;
	if (journal->stream)
		journal_move(journal);
	else
		journal_end_output(journal);
}

static void journal_writable(struct kring_stream *stream, unsigned int channel)
{
	struct journal *journal = kring_stream_owner(stream);

	(void)channel;
	if (!journal->op.busy && journal->fd >= 0)
		journal_move(journal);
}

static void journal_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct journal *journal = kring_stream_owner(stream);

	(void)result;
	(void)len;
	kring_close(stream, NULL);
	journal_give_up(journal);
}

static void journal_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	journal_give_up(kring_stream_owner(stream));
}

static const struct kring_stream_ops journal_ops = {
	.writable = journal_writable,
	.closed = journal_closed,
	.reset = journal_reset,
};

static void journal_ended(struct helper *helper, int status)
{
	struct journal *journal = container_of(helper, struct journal, helper);

	journal->status = status;
	journal_put(journal);
}

static int journal_start(struct journal *journal, const Kring__Log *request)
{
	char lines[16] = "all";
	char *argv[] = {
		(char *)"/usr/bin/journalctl", (char *)"--quiet", (char *)"--no-pager",
		(char *)"--output=short", (char *)"-n", lines,
		request->follow ? (char *)"-f" : NULL, NULL
	};
	int fds[2];
	int err;

	if (request->lines)
		snprintf(lines, sizeof(lines), "%u", request->lines);
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	/* Ours alone: journalctl is to wait. */
	err = fcntl(fds[0], F_SETFL, O_NONBLOCK) ? -errno : 0;
	if (!err)
		err = helper_start(&journal->helper, &journal->agent->loop, argv, fds[1],
				   journal_ended);
	close(fds[1]);
	if (err)
		close(fds[0]);
	else
		journal->fd = fds[0];
	return err;
}

void journal_open(struct agent *agent, struct kring_stream *stream, const Kring__Log *request)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int err;

	if (!journal || kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "log", "out of memory");
		goto free_journal;
	}
	journal->agent = agent;
	journal->op.done = journal_readable;
	err = journal_start(journal, request);
	if (err) {
		kring_reset(stream, -err, "log", "journalctl: %s", strerror(-err));
		goto free_journal;
	}
	journal->stream = stream;
	kring_stream_set_ops(stream, &journal_ops, journal);
	journal_move(journal);
	return;

free_journal:
	free(journal);
}
