// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A pair of eventfds as doorbell: for a region without a port, with the timer switched off,
 * and with a host that sends each frame back.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kring.h>

#include <tap.h>

#define DEVICE "/dev/kring"

#define fails(call, error) (errno = 0, (call) == -1 && errno == (error))

static int give(int fd, int in, int out)
{
	struct kring_eventfds fds = { .in = in, .out = out };

	return ioctl(fd, KRING_IOC_EVENTFDS, &fds);
}

static uint64_t count(int eventfd)
{
	uint64_t value = 0;

	return read(eventfd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static void test_errors(int fd, int in, int out)
{
	int pipes[2];

	must(!pipe(pipes));
	ok(fails(give(fd, -1, -1), ENOENT), "nothing to take back: ENOENT");
	ok(fails(give(fd, -1, out), EBADF) && fails(give(fd, in, 999), EBADF), "no files: EBADF");
	ok(fails(give(fd, pipes[0], out), EINVAL) && fails(give(fd, in, pipes[1]), EINVAL),
	   "a pipe is no eventfd: EINVAL");
	ok(fails(give(fd, in, in), EINVAL), "the same one twice: EINVAL");
	ok(fails(ioctl(fd, KRING_IOC_EVENTFDS, (void *)8), EFAULT), "no struct: EFAULT");
	ok(!give(fd, in, out), "two eventfds are taken");
	ok(count(out), "and the host is kicked at once");
	ok(fails(give(fd, in, out), EBUSY), "there is a doorbell now: EBUSY");
	ok(!give(fd, -1, -1), "they are given back");
	ok(!give(fd, in, out), "and taken again");
	close(pipes[0]);
	close(pipes[1]);
}

static void *ring_later(void *arg)
{
	uint64_t one = 1;

	usleep(700000);
	if (write(*(int *)arg, &one, sizeof(one)) != sizeof(one))
		return arg;
	return NULL;
}

/* The frame is there long before the doorbell rings, and nothing else tells. */
static void test_wake(int fd, int in, int out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct kring_info info;
	char frame[64] = "there and back";
	pthread_t thread;
	int i;

	for (i = 0; i < 2; i++) {
		must(write(fd, frame, sizeof(frame)) == sizeof(frame));
		must(!pthread_create(&thread, NULL, ring_later, &in));
		if (i)
			ok(poll(&p, 1, 5000) == 1, "poll() is woken by the eventfd");
		ok(read(fd, frame, sizeof(frame)) == sizeof(frame),
		   "read() returns the frame");
		pthread_join(thread, NULL);
		ok(!count(in), "the kernel has taken what was written");
	}
	(void)count(out);
	must(!ioctl(fd, KRING_IOC_KICK));
	ok(count(out) == 1, "a kick comes out");
	must(!ioctl(fd, KRING_IOC_INFO, &info));
	ok(info.flags & KRING_INFO_DOORBELL, "the instance has a doorbell");
}

int main(void)
{
	int in = eventfd(0, EFD_NONBLOCK), out = eventfd(0, EFD_NONBLOCK);
	struct kring_info info;
	int fd = open(DEVICE, O_RDWR);

	must(fd >= 0 && in >= 0 && out >= 0);
	test_errors(fd, in, out);
	test_wake(fd, in, out);
	close(fd);

	fd = open(DEVICE, O_RDWR);
	must(!ioctl(fd, KRING_IOC_INFO, &info));
	ok(!(info.flags & KRING_INFO_DOORBELL), "it goes when the file is closed");
	must(!give(fd, in, out));
	close(in);
	close(out);
	ok(!ioctl(fd, KRING_IOC_KICK), "it stays when the eventfds are closed");
	return tap_done();
}
