// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What an edge-triggered epoll is owed when others use the same file: it is told of each frame
 * and of all room that comes after it was told last, whoever took what there was. With a host
 * that sends each frame back, a region that is fresh, and the slow timer switched off.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kring.h>

#include <tap.h>

#define DEVICE	"/dev/kring"
#define PAGE	4096

static char frame[1 << 20];

/* Time for the host to send back what it can. */
static void settle(void)
{
	usleep(500000);
}

static int watch(int fd, unsigned int events)
{
	struct epoll_event e = { .events = events | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	must(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	return ep;
}

/* The events that @ep tells of, 0: of none for as long as anybody waits for a kick. */
static unsigned int told(int ep)
{
	struct epoll_event e = { };

	return epoll_wait(ep, &e, 1, 3000) == 1 ? e.events : 0;
}

static void send_frames(int fd, int count)
{
	while (count--)
		must(write(fd, frame, 16) == 16);
	settle();
}

/* Both rings full of the largest frames, two in each, without a byte between them. */
static void test_room(int fd, size_t max)
{
	int ep, i;

	for (i = 0; i < 4; i++)
		must(write(fd, frame, max) == (ssize_t)max);
	settle();
	for (i = 0; i < 2; i++)
		must(read(fd, frame, max) == (ssize_t)max);
	settle();
	/* Room for two. Nobody waits for more. */
	must(write(fd, frame, max) == (ssize_t)max);
	ep = watch(fd, EPOLLOUT);
	ok(told(ep) == EPOLLOUT, "epoll is told of room");
	must(write(fd, frame, max) == (ssize_t)max);
	must(read(fd, frame, max) == (ssize_t)max);
	ok(told(ep) == EPOLLOUT, "what it was told of is used up: it is told of the next");
	close(ep);
	for (i = 0; i < 3; i++)
		must(read(fd, frame, max) == (ssize_t)max);
}

static void test_frames(int fd)
{
	int status, ep;

	send_frames(fd, 3);
	must(read(fd, frame, sizeof(frame)) == 16);
	ep = watch(fd, EPOLLIN);
	ok(told(ep) == EPOLLIN, "epoll is told of a frame");
	if (!fork())
		_exit(read(fd, frame, sizeof(frame)) != 16 || read(fd, frame, sizeof(frame)) != 16);
	must(wait(&status) > 0 && !status);
	send_frames(fd, 1);
	ok(told(ep) == EPOLLIN, "another reader has taken all: epoll is told of the next");
	close(ep);
	must(read(fd, frame, sizeof(frame)) == 16);
}

/* A page that is not there until fault_give(): whoever touches it sleeps. */
static int fault_make(void *page)
{
	struct uffdio_register r = { .range = { (uintptr_t)page, PAGE },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	must(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &r));
	return fd;
}

static void fault_wait(int fd)
{
	struct uffd_msg msg;

	must(read(fd, &msg, sizeof(msg)) == sizeof(msg));
}

static void fault_give(int fd, void *page)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)page, PAGE } };

	must(!ioctl(fd, UFFDIO_ZEROPAGE, &z));
}

struct slow_read {
	int fd;
	void *page;
	ssize_t ret;
};

static void *read_slowly(void *arg)
{
	struct slow_read *r = arg;

	r->ret = read(r->fd, r->page, PAGE);
	return NULL;
}

/* A reader is in the middle of its read, so one that cannot wait gets EAGAIN, and waits. */
static void test_refused(int fd)
{
	struct iovec iov = { frame, sizeof(frame) };
	struct slow_read slow = { .fd = fd };
	pthread_t thread;
	int ep, faults;

	slow.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(slow.page != MAP_FAILED);
	faults = fault_make(slow.page);
	send_frames(fd, 3);
	must(read(fd, frame, sizeof(frame)) == 16);
	ep = watch(fd, EPOLLIN);
	ok(told(ep) == EPOLLIN, "epoll is told of two frames");
	must(!pthread_create(&thread, NULL, read_slowly, &slow));
	fault_wait(faults);
	ok(preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == -1 && errno == EAGAIN,
	   "another reader is in the middle of one: EAGAIN");
	fault_give(faults, slow.page);
	pthread_join(thread, NULL);
	ok(slow.ret == 16, "that one gets it");
	ok(told(ep) == EPOLLIN, "epoll is told that the second is still there");
	ok(preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == 16, "and so it is");
	close(ep);
	close(faults);
}

int main(void)
{
	struct kring_info info;
	int fd;

	fd = open(DEVICE, O_RDWR);
	must(fd >= 0 && !ioctl(fd, KRING_IOC_INFO, &info));
	must(info.g2h_frame_max <= sizeof(frame));
	test_room(fd, info.g2h_frame_max);
	test_frames(fd);
	test_refused(fd);
	return tap_done();
}
