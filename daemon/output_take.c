// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One output of a session, into its log.
 *
 * A kringd that is killed here must not lose a byte. From a pipe the log takes them in a way
 * that keeps this promise. A terminal is no pipe: so what it has goes into one first, by
 * splice(2) as well, and that pipe outlives the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "output.h"
#include "session.h"

#define SCRATCH		16384

/* Where the kernel cannot: no /dev/pts of Linux 5.10, no memory for a page of the file. */
static bool cannot(ssize_t code)
{
	return code == -EINVAL || code == -ENOMEM || code == -ENOSPC;
}

static ssize_t take_by_hand(struct output *output, int fd, size_t want)
{
	static char scratch[SCRATCH];
	ssize_t len = read(fd, scratch, want < sizeof(scratch) ? want : sizeof(scratch));

	if (len < 0)
		return -errno;
	output_log_append(&output->log, scratch, len);
	return len;
}

static ssize_t take_from_pipe(struct output *output, int fd, size_t want)
{
	ssize_t len = output_log_take(&output->log, fd, want);

	return cannot(len) ? take_by_hand(output, fd, want) : len;
}

static ssize_t take_from_terminal(struct output *output, size_t want)
{
	ssize_t len;

	if (!output->relayed) {
		len = splice(output->fd, NULL, output->relay[1], NULL, want, SPLICE_F_NONBLOCK);
		if (len < 0 && cannot(-errno))
			return take_by_hand(output, output->fd, want);
		if (len <= 0)
			return len ? -errno : 0;
		output->relayed = len;
	}
	if (want > output->relayed)
		want = output->relayed;
	len = take_from_pipe(output, output->relay[0], want);
	output->relayed -= len > 0 ? len : 0;
	return len;
}

ssize_t output_take(struct output *output, size_t want)
{
	/* Where nothing is kept, nothing can be lost. */
	if (!output->session->record->tty || !output->log.mark->max)
		return take_from_pipe(output, output->fd, want);
	if (output->relay[0] < 0)
		return take_by_hand(output, output->fd, want);
	return take_from_terminal(output, want);
}
