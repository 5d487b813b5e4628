// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * io_uring on /dev/kring makes no worker threads, neither while a read, a write and a multishot
 * poll sleep, nor when they are served. Prints "asleep: N", then "NAME: RESULT" for each result,
 * then "served: N"; with "async" the read is forced to a worker, so that N counts one. Nobody may
 * be at the host's end: h2g is empty, g2h is filled first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tap.h>

#define DEVICE	"/dev/kring"

static char sent[65536], received[65536];

/* Workers are threads of the process that asked, by this name. */
static int workers(void)
{
	char path[300], name[32];
	struct dirent *task;
	int count = 0;
	FILE *comm;
	DIR *tasks;

	tasks = opendir("/proc/self/task");
	must(tasks);
	while ((task = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		comm = fopen(path, "r");
		if (!comm)
			continue;
		count += fgets(name, sizeof(name), comm) && !strncmp(name, "iou-wrk", 7);
		fclose(comm);
	}
	closedir(tasks);
	return count;
}

static void prepare(struct io_uring *ring, int fd, bool async)
{
	struct io_uring_sqe *sqe;

	sqe = io_uring_get_sqe(ring);
	io_uring_prep_read(sqe, fd, received, sizeof(received), -1);
	io_uring_sqe_set_data(sqe, "read");
	if (async)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_write(sqe, fd, sent, sizeof(sent), -1);
	io_uring_sqe_set_data(sqe, "write");
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_poll_multishot(sqe, fd, POLLPRI);
	io_uring_sqe_set_data(sqe, "poll");
	must(io_uring_submit(ring) == 3);
}

int main(int argc, char **argv)
{
	bool async = argc == 2 && !strcmp(argv[1], "async");
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int fd, results;

	fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	must(fd >= 0 && !io_uring_queue_init(8, &ring, 0));
	while (write(fd, sent, sizeof(sent)) > 0)
		;
	must(errno == EAGAIN && !fcntl(fd, F_SETFL, 0));

	prepare(&ring, fd, async);
	usleep(300000);
	printf("asleep: %d\n", workers());
	fflush(stdout);
	for (results = 0; results < 3; results++) {
		must(!io_uring_wait_cqe(&ring, &cqe));
		printf("%s: %d\n", (char *)io_uring_cqe_get_data(cqe), cqe->res);
		fflush(stdout);
		io_uring_cqe_seen(&ring, cqe);
	}
	printf("served: %d\n", workers());
	return 0;
}
