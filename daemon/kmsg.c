// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The kernel's log, from /dev/kmsg: one record a read, "PRIORITY,NUMBER,MICROSECONDS,...;
 * TEXT\n", and lines with a blank in front, which are for programs.
 *
 * It may have many thousands of records, so they are handled a number at a turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guestlog.h"

/* At a turn, before others have theirs. */
#define RECORDS	128

/* The longest that the kernel makes. */
#define RECORD_MAX	8192

/**
 * struct kmsg - one reader
 * @agent: for whom
 * @stream: the host's, NULL: it has lost interest
 * @fd: /dev/kmsg
 * @op: waits for more records
 * @turn: handles some
 * @follow: go on when there are no more
 * @counting: how many there are, to know the last ones
 * @wanted: the last so many, 0: all
 * @skip: records that are not wanted
 * @len: bytes of @line
 * @at: those of them that were sent
 * @line: the record that is being sent
 */
struct kmsg {
	struct agent *agent;
	struct kring_stream *stream;
	int fd;
	struct loop_op op;
	struct loop_job turn;
	bool follow;
	bool counting;
	uint32_t wanted;
	uint64_t skip;
	size_t len;
	size_t at;
	char line[RECORD_MAX + 32];
};

static void kmsg_end(struct kmsg *kmsg)
{
	kmsg->stream = NULL;
	loop_unqueue(&kmsg->agent->loop, &kmsg->turn);
	if (kmsg->op.busy) {
		loop_cancel(&kmsg->agent->loop, &kmsg->op);
		return;
	}
	close(kmsg->fd);
	free(kmsg);
}

/* 1: a record, 0: there are no more now; a negative errno */
static int kmsg_read(struct kmsg *kmsg, char record[RECORD_MAX + 1])
{
	ssize_t len;

	do {
		len = read(kmsg->fd, record, RECORD_MAX);
		/* EPIPE: those that we would have come to were overwritten. */
	} while (len < 0 && (errno == EINTR || errno == EPIPE));
	if (len < 0)
		return errno == EAGAIN ? 0 : -errno;
	record[len] = '\0';
	return 1;
}

/* All were counted: begin again, with those that are wanted. */
static int kmsg_rewind(struct kmsg *kmsg)
{
	kmsg->counting = false;
	kmsg->skip = kmsg->skip > kmsg->wanted ? kmsg->skip - kmsg->wanted : 0;
	return lseek(kmsg->fd, 0, SEEK_SET) < 0 ? -errno : 1;
}

/* As dmesg(1) would print it. */
static void kmsg_format(struct kmsg *kmsg, const char *record)
{
	const char *text = strchr(record, ';');
	unsigned long long us;

	if (sscanf(record, "%*u,%*u,%llu", &us) != 1)
		us = 0;
	text = text ? text + 1 : record;
	kmsg->at = 0;
	kmsg->len = snprintf(kmsg->line, sizeof(kmsg->line), "[%5llu.%06llu] %.*s\n",
			     us / 1000000, us % 1000000, (int)strcspn(text, "\n"), text);
	if (kmsg->len >= sizeof(kmsg->line))
		kmsg->len = sizeof(kmsg->line) - 1;
}

/* The next record: 1: go on, 0: there is none or no room, a negative errno. */
static int kmsg_step(struct kmsg *kmsg)
{
	char record[RECORD_MAX + 1];
	int ret;

	if (kmsg->at < kmsg->len) {
		kmsg->at += kring_stream_write(kmsg->stream, 0, kmsg->line + kmsg->at,
					       kmsg->len - kmsg->at);
		return kmsg->at == kmsg->len;
	}
	ret = kmsg_read(kmsg, record);
	if (ret < 0)
		return ret;
	if (kmsg->counting && ret)
		kmsg->skip++;
	else if (kmsg->counting)
		return kmsg_rewind(kmsg);
	else if (ret && kmsg->skip)
		kmsg->skip--;
	else if (ret)
		kmsg_format(kmsg, record);
	return ret;
}

static void kmsg_run(struct loop_job *job)
{
	struct kmsg *kmsg = container_of(job, struct kmsg, turn);
	unsigned int budget = RECORDS;
	int ret = 1;

	while (ret > 0 && budget--)
		ret = kmsg_step(kmsg);
	if (ret > 0) {
		loop_queue(&kmsg->agent->loop, job);
	} else if (ret < 0) {
		kring_reset(kmsg->stream, -ret, "log", "/dev/kmsg: %s", strerror(-ret));
		kmsg_end(kmsg);
	} else if (kmsg->at < kmsg->len) {
		/* kmsg_writable() goes on. */
	} else if (kmsg->follow) {
		loop_poll(&kmsg->agent->loop, &kmsg->op, kmsg->fd, POLLIN);
	} else {
		kring_stream_eof(kmsg->stream, 0);
		kring_close(kmsg->stream, NULL);
		kmsg_end(kmsg);
	}
}

static void kmsg_readable(struct loop_op *op, int result)
{
	struct kmsg *kmsg = container_of(op, struct kmsg, op);

	(void)result;
	if (kmsg->stream)
		loop_queue(&kmsg->agent->loop, &kmsg->turn);
	else
		kmsg_end(kmsg);
}

static void kmsg_writable(struct kring_stream *stream, unsigned int channel)
{
	struct kmsg *kmsg = kring_stream_owner(stream);

	(void)channel;
	if (!kmsg->op.busy)
		loop_queue(&kmsg->agent->loop, &kmsg->turn);
}

static void kmsg_closed(struct kring_stream *stream, const void *result, size_t len)
{
	struct kmsg *kmsg = kring_stream_owner(stream);

	(void)result;
	(void)len;
	kring_close(stream, NULL);
	kmsg_end(kmsg);
}

static void kmsg_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	kmsg_end(kring_stream_owner(stream));
}

static const struct kring_stream_ops kmsg_ops = {
	.writable = kmsg_writable,
	.closed = kmsg_closed,
	.reset = kmsg_reset,
};

void kmsg_open(struct agent *agent, struct kring_stream *stream, const Kring__Log *request)
{
	struct kmsg *kmsg = calloc(1, sizeof(*kmsg));

	if (!kmsg || kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "log", "out of memory");
		goto free_kmsg;
	}
	kmsg->agent = agent;
	kmsg->op.done = kmsg_readable;
	kmsg->turn.run = kmsg_run;
	kmsg->follow = request->follow;
	kmsg->wanted = request->lines;
	kmsg->counting = request->lines;
	kmsg->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->fd < 0) {
		kring_reset(stream, errno, "log", "/dev/kmsg: %s", strerror(errno));
		goto free_kmsg;
	}
	kmsg->stream = stream;
	kring_stream_set_ops(stream, &kmsg_ops, kmsg);
	loop_queue(&agent->loop, &kmsg->turn);
	return;

free_kmsg:
	free(kmsg);
}
