// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How fast the ways are by which a guest program uses its end of a region: read() and write(),
 * io_uring, a mapping. The other end is a process with a mapping, each time. It reports, and
 * decides nothing.
 *
 *	bench GUEST HOST [FRAMES]
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <device.h>

#include <tap.h>

#define FRAMES		20000
#define FRAME_MAX	65536

static const char *guest_path, *host_path;
static char buf[FRAME_MAX];

/**
 * struct way - one way to use the guest's end
 * @name: for the table
 * @open: before a measurement
 * @send: a frame of buf
 * @receive: a frame to buf, or where it lies
 * @close: after it
 */
struct way {
	const char *name;
	void (*open)(void);
	void (*send)(size_t len);
	void (*receive)(void);
	void (*close)(void);
};

static int fd;

static void open_file(void)
{
	fd = open(guest_path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
}

static void close_file(void)
{
	close(fd);
}

static void call_send(size_t len)
{
	must(write(fd, buf, len) == (ssize_t)len);
}

static void call_receive(void)
{
	must(read(fd, buf, sizeof(buf)) > 0);
}

static struct io_uring ring;

static void uring_open(void)
{
	open_file();
	must(!io_uring_queue_init(8, &ring, 0));
}

static void uring_close(void)
{
	io_uring_queue_exit(&ring);
	close_file();
}

static int uring_wait(void)
{
	struct io_uring_cqe *cqe;
	int ret;

	must(io_uring_submit_and_wait(&ring, 1) == 1 && !io_uring_peek_cqe(&ring, &cqe));
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

static void uring_send(size_t len)
{
	io_uring_prep_write(io_uring_get_sqe(&ring), fd, buf, len, 0);
	must(uring_wait() == (int)len);
}

static void uring_receive(void)
{
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, buf, sizeof(buf), 0);
	must(uring_wait() > 0);
}

static struct kring_device *device;

static void device_open(const char *path)
{
	must(!kring_device_open(path, KRING_DEVICE_READ | KRING_DEVICE_WRITE, &device, NULL));
	must(kring_device_mapped(device));
}

static void map_open(void)
{
	device_open(guest_path);
}

static void map_close(void)
{
	kring_device_close(device);
}

/* The bytes are written where they lie, as whoever makes them would. */
static void map_send(size_t len)
{
	void *payload;
	int code;

	while ((code = kring_device_reserve(device, len, &payload)) == -EAGAIN)
		must(kring_device_wait(device, POLLOUT, -1) > 0);
	must(!code);
	memcpy(payload, buf, len);
	must(!kring_device_commit(device, len));
}

/* And read there. */
static void map_receive(void)
{
	const void *payload;
	size_t len;
	int code;

	while ((code = kring_device_peek(device, &payload, &len)) == -EAGAIN)
		must(kring_device_wait(device, POLLIN, -1) > 0);
	must(!code);
	memcpy(buf, payload, len);
	must(!kring_device_advance(device));
}

static const struct way ways[] = {
	{ "read, write", open_file, call_send, call_receive, close_file },
	{ "io_uring", uring_open, uring_send, uring_receive, uring_close },
	{ "mmap", map_open, map_send, map_receive, map_close },
};

/* What is measured: which way the frames go. */
enum course {
	COURSE_OUT,
	COURSE_IN,
	COURSE_BACK,
	COURSES,
};

/* The other end, in a process of its own. */
static void serve(enum course course, unsigned int frames, size_t len)
{
	unsigned int i;

	device_open(host_path);
	for (i = 0; i < frames; i++) {
		if (course != COURSE_IN)
			map_receive();
		if (course != COURSE_OUT)
			map_send(len);
	}
	/* All that was sent is read before it is known to have been. */
	if (course == COURSE_OUT)
		map_send(1);
	map_close();
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Microseconds for a frame: the mean one way, the median there and back. */
static double measure(const struct way *way, enum course course, unsigned int frames, size_t len)
{
	double *took = calloc(frames, sizeof(*took)), start, before;
	unsigned int i;
	int status;
	pid_t pid;

	must(took);
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid) {
		serve(course, frames, len);
		_exit(0);
	}
	way->open();
	start = now_us();
	for (i = 0; i < frames; i++) {
		before = now_us();
		if (course != COURSE_IN)
			way->send(len);
		if (course != COURSE_OUT)
			way->receive();
		took[i] = now_us() - before;
	}
	if (course == COURSE_OUT)
		way->receive();
	start = (now_us() - start) / frames;
	way->close();
	must(waitpid(pid, &status, 0) == pid && !status);
	qsort(took, frames, sizeof(*took), compare);
	if (course == COURSE_BACK)
		start = took[frames / 2];
	free(took);
	return start;
}

int main(int argc, char **argv)
{
	static const char *const courses[] = { "out", "in", "there and back" };
	static const size_t lens[] = { 64, 1024, 16384 };
	unsigned int frames = FRAMES, i, j, course;
	double us, first = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: bench GUEST HOST [FRAMES]\n");
		return 2;
	}
	guest_path = argv[1];
	host_path = argv[2];
	if (argc > 3)
		frames = atoi(argv[3]);
	must(frames);
	printf("%-15s %6s  %-12s %10s %10s %8s\n", "course", "bytes", "way", "us/frame", "MB/s",
	       "ratio");
	for (course = 0; course < COURSES; course++)
		for (i = 0; i < ARRAY_SIZE(lens); i++)
			for (j = 0; j < ARRAY_SIZE(ways); j++) {
				us = measure(&ways[j], course, frames, lens[i]);
				if (!j)
					first = us;
				printf("%-15s %6zu  %-12s %10.2f %10.1f %8.2f\n", courses[course],
				       lens[i], ways[j].name, us, lens[i] / us, first / us);
			}
	return 0;
}
