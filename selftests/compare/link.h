/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The connection that a conversation is held over, and how to get another one:
 *
 *	exec COMMAND...		a command's stdin and stdout		(host)
 *	unix PATH		a unix socket				(host)
 *	hybrid PATH PORT	CONNECT PORT on a unix socket, as Firecracker's vsock	(host)
 *	stdio			stdin and stdout			(guest)
 *	port PATH		a port of a virtio console		(guest)
 *	vsock PORT		a vsock connection, accepted		(guest)
 */
#ifndef COMPARE_LINK_H
#define COMPARE_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/**
 * struct link - one connection
 * @argv: kind and arguments, as above
 * @in: to read from, non-blocking; -1: there is none
 * @out: to write to, may be the same
 * @listener: of a vsock port, kept
 * @child: that has the other ends
 * @status: of the last child that ended, as a shell has it
 * @lasting: an end of file is but a pause, and there is no other connection to be had
 * @only: there is this one alone: who loses it ends
 */
struct link {
	char **argv;
	int in;
	int out;
	int listener;
	pid_t child;
	int status;
	bool lasting;
	bool only;
};

/** link_init() - check the arguments; false: they make no sense */
bool link_init(struct link *link, char **argv);

/** link_open() - connect; 0 or a negative errno: it may work later */
int link_open(struct link *link);

/** link_close() - a child is killed, unless @finished: then it is waited for */
void link_close(struct link *link, bool finished);

/** link_poll() - poll(); the only place where signals get through, in milliseconds */
int link_poll(struct pollfd *fds, unsigned int count, int timeout);

/** link_signals() - so that it is */
void link_signals(void);

#endif /* COMPARE_LINK_H */
