/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A link: the file that frames come from and go to, /dev/kring or a connected socket. It
 * moves them between the file and the agent's multiplexer, a bounded number at a turn.
 */
#ifndef KRINGD_LINK_H
#define KRINGD_LINK_H

#include <kring/stream.h>
#include <sys/types.h>

#include "agent.h"

/**
 * struct link_ops - what the kinds of files differ in
 * @receive: one frame: its bytes; 0: there was one, and it is not worth having; -EAGAIN;
 *	else the link is broken
 * @send: one frame: 0, -EAGAIN; else the link is broken
 * @event: poll said POLLPRI, POLLERR or POLLHUP: 0, or the link is broken; may be NULL
 * @closed: it is gone, its file closed, and about to be freed: @error is why
 * @keep: the host may come back by another link of the kind, and its streams wait for it
 */
struct link_ops {
	ssize_t (*receive)(struct link *link, void *buf, size_t size);
	int (*send)(struct link *link, const void *buf, size_t len);
	int (*event)(struct link *link, unsigned int events);
	void (*closed)(struct link *link, int error);
	bool keep;
};

/**
 * struct link - one file
 * @agent: whose streams
 * @ops: of its kind
 * @owner: the kind's own
 * @fd: file, non-blocking
 * @in: waits for frames
 * @out: waits for room
 * @turn: moves frames; when @error is set, the end of it all
 * @error: negative errno: it is broken, and waits for @in and @out to end
 * @full: the last frame did not fit
 * @held: no frames are taken
 * @in_len: bytes in @in_frame, which the multiplexer has not taken yet
 * @out_len: bytes in @out_frame, which have not been sent yet
 * @in_frame: received
 * @out_frame: to be sent
 */
struct link {
	struct agent *agent;
	const struct link_ops *ops;
	void *owner;
	int fd;
	struct loop_op in;
	struct loop_op out;
	struct loop_job turn;
	int error;
	bool full;
	bool held;
	size_t in_len;
	size_t out_len;
	uint8_t in_frame[KRING_STREAM_FRAME_MAX];
	uint8_t out_frame[KRING_STREAM_FRAME_MAX];
};

/**
 * link_open() - frames may be moved from now on
 * @agent: agent, which has no link
 * @ops: of the kind of file
 * @owner: the kind's own
 * @fd: file, the link's if this succeeds
 * @frame_max: longest frame that may be sent
 * @generation: of the region, or 0
 *
 * Return: 0 or -ENOMEM. The link is agent->link, and closes itself when it is broken.
 */
int link_open(struct agent *agent, const struct link_ops *ops, void *owner, int fd,
	      uint32_t frame_max, uint64_t generation);

/* Close it: @error is a negative errno. ops.closed is called later. */
void link_close(struct link *link, int error);

/* Take no frames for a while, or go on. What is to be sent goes on. */
void link_hold(struct link *link, bool hold);

/* There is something to send. */
void link_output(struct link *link);

/* Send all that there is, for that long at most. */
void link_flush(struct link *link, unsigned int milliseconds);

/* Whether all that there was to send has gone into the file. */
bool link_idle(const struct link *link);

#endif /* KRINGD_LINK_H */
