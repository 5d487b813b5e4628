// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What <linux/kring.h> promises of /dev/kring, with a host that sends each frame back.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kring.h>

#include <tap.h>

#define DEVICE "/dev/kring"

static unsigned char out[1 << 20], in[1 << 20];

/* An address where nothing is. */
static void *nowhere;

static void fill(size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		out[i] = seed >> 16;
	}
}

static short events(int fd, short wanted, int timeout)
{
	struct pollfd p = { .fd = fd, .events = wanted };

	return poll(&p, 1, timeout) < 0 ? -1 : p.revents;
}

/* The call that is its argument fails with @error. */
#define fails(call, error) (errno = 0, (call) == -1 && errno == (error))

/* What works on files, and makes no sense on a conversation. */
static void test_no_file(int fd)
{
	int pipes[2], file = open("/proc/self/exe", O_RDONLY);

	must(file >= 0 && !pipe(pipes) && write(pipes[1], out, 16) == 16);
	ok(fails(lseek(fd, 0, SEEK_SET), ESPIPE) && fails(lseek(fd, 0, SEEK_END), ESPIPE),
	   "lseek: ESPIPE");
	ok(fails(pread(fd, in, 1, 0), ESPIPE) && fails(pwrite(fd, out, 1, 0), ESPIPE),
	   "pread, pwrite: ESPIPE");
	ok(fails(splice(fd, NULL, pipes[1], NULL, 16, SPLICE_F_NONBLOCK), EINVAL) &&
	   fails(splice(pipes[0], NULL, fd, NULL, 16, SPLICE_F_NONBLOCK), EINVAL),
	   "splice, from it and to it: EINVAL");
	ok(fails(sendfile(fd, file, NULL, 16), EINVAL) &&
	   fails(sendfile(pipes[1], fd, NULL, 16), EINVAL), "sendfile, to it and from it: EINVAL");
	ok(fails(copy_file_range(file, NULL, fd, NULL, 16, 0), EINVAL), "copy_file_range: EINVAL");
	ok(fails(fsync(fd), EINVAL) && fails(ftruncate(fd, 0), EINVAL) &&
	   fails(fallocate(fd, 0, 0, 16), ENODEV), "fsync, ftruncate: EINVAL; fallocate: ENODEV");
	close(pipes[0]);
	close(pipes[1]);
	close(file);
}

static void test_open(void)
{
	int rd, wr, both;

	rd = open(DEVICE, O_RDONLY);
	ok(rd >= 0, "open for reading");
	ok(fails(open(DEVICE, O_RDONLY), EBUSY), "a second reader is refused: EBUSY");
	ok(fails(open(DEVICE, O_RDWR), EBUSY), "and so is one that would also write");
	wr = open(DEVICE, O_WRONLY);
	ok(wr >= 0, "a writer beside the reader is not, nor disturbed by that");
	ok(fails(open(DEVICE, O_WRONLY), EBUSY), "a second writer is refused: EBUSY");
	ok(fails(write(rd, out, 1), EBADF), "write to the reader's file: EBADF");
	ok(fails(read(wr, in, 1), EBADF), "read from the writer's file: EBADF");
	close(rd);
	close(wr);
	both = open(DEVICE, O_RDWR);
	ok(both >= 0, "both, once these are closed");
	ok(fails(ioctl(both, _IO(KRING_IOC_MAGIC, 99)), ENOTTY), "unknown ioctl: ENOTTY");
	test_no_file(both);
	close(both);
}

static void test_info(int fd, struct kring_info *info)
{
	ok(ioctl(fd, KRING_IOC_INFO, info) == 0, "KRING_IOC_INFO");
	ok(info->h2g_frame_max == info->h2g_size / 2 - 8 &&
	   info->g2h_frame_max == info->g2h_size / 2 - 8, "its frame sizes");
	ok(info->flags == KRING_INFO_DOORBELL, "its flags: a doorbell, nothing poisoned");
	ok(info->generation > 0 && !strcmp((char *)info->name, "test"), "generation and name");
	ok(fails(ioctl(fd, KRING_IOC_INFO, nowhere), EFAULT), "to a bad address: EFAULT");
	ok(ioctl(fd, KRING_IOC_KICK) == 0, "KRING_IOC_KICK");
}

static void test_sizes(int fd, const struct kring_info *info)
{
	static const size_t sizes[] = { 1, 2, 7, 8, 9, 15, 16, 17, 4095, 4096, 4097, 100000 };
	size_t i, max = info->g2h_frame_max;
	int good = 1;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill(sizes[i], i);
		good &= write(fd, out, sizes[i]) == (ssize_t)sizes[i];
		good &= read(fd, in, sizeof(in)) == (ssize_t)sizes[i];
		good &= !memcmp(in, out, sizes[i]);
	}
	ok(good, "frames of all sizes there and back, one read a write");

	/* Wherever the cursors are: the largest frame fits into an empty ring. */
	for (i = 0, good = 1; i < 5; i++) {
		fill(max, i);
		good &= write(fd, out, max) == (ssize_t)max;
		good &= read(fd, in, sizeof(in)) == (ssize_t)max && !memcmp(in, out, max);
	}
	ok(good, "the largest frame there and back, five times");
	ok(fails(write(fd, out, max + 1), EMSGSIZE), "a byte more: EMSGSIZE");
	ok(fails(write(fd, out, 0), EINVAL), "an empty frame: EINVAL");

	fill(100, 1);
	ok(write(fd, out, 100) == 100 && fails(read(fd, in, 99), EMSGSIZE),
	   "a frame larger than the buffer: EMSGSIZE");
	ok(read(fd, in, 0) == 0, "a read of 0 bytes returns at once");
	ok(read(fd, in, 100) == 100 && !memcmp(in, out, 100), "and it stays");
}

static void test_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	ok(fails(read(fd, in, sizeof(in)), EAGAIN), "nothing to read, O_NONBLOCK: EAGAIN");
	ok(events(fd, POLLIN | POLLOUT, 0) == POLLOUT, "poll: writable, not readable");
	fill(10, 3);
	ok(write(fd, out, 10) == 10, "write");
	ok(events(fd, POLLIN, 5000) == POLLIN, "poll wakes when a frame comes");
	ok(events(fd, POLLIN, 0) == POLLIN, "and says so until it is read");
	ok(read(fd, in, sizeof(in)) == 10, "read");
	ok(events(fd, POLLIN, 0) == 0, "and no more");
	fcntl(fd, F_SETFL, flags);
}

/* Bad addresses, whole or half way: an error, and nothing is lost. */
static void test_faults(int fd)
{
	unsigned char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
	struct iovec iov[2] = { { in, 50 }, { nowhere, 50 } };

	munmap(page + 4096, 4096);
	fill(100, 7);
	ok(write(fd, out, 100) == 100, "a frame");
	ok(fails(read(fd, nowhere, 100), EFAULT), "read to a bad address: EFAULT");
	ok(fails(readv(fd, iov, 2), EFAULT), "readv, the second half is bad: EFAULT");
	ok(fails(read(fd, page + 4096 - 50, 100), EFAULT), "read over a page's end: EFAULT");
	iov[1].iov_base = in + 50;
	ok(readv(fd, iov, 2) == 100 && !memcmp(in, out, 100), "and the frame is still there");

	/* Pages that were never touched, to be faulted in under way. */
	page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fill(200000, 8);
	ok(write(fd, out, 200000) == 200000, "a large frame");
	ok(read(fd, page, 1 << 20) == 200000 && !memcmp(page, out, 200000),
	   "read to memory that is not there yet");

	iov[0].iov_base = out;
	iov[1].iov_base = nowhere;
	ok(fails(write(fd, nowhere, 10), EFAULT), "write from a bad address: EFAULT");
	ok(fails(writev(fd, iov, 2), EFAULT), "writev, the second half is bad: EFAULT");
	iov[1].iov_base = out + 50;
	ok(writev(fd, iov, 2) == 100, "writev of two halves is one frame");
	ok(read(fd, in, sizeof(in)) == 100 && !memcmp(in, out, 100),
	   "and what failed before it was not sent");
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_signals(int fd)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int status;
	pid_t pid;

	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	ok(fails(read(fd, in, sizeof(in)), EINTR), "a signal interrupts a read that sleeps");

	pid = fork();
	if (!pid)
		_exit(read(fd, in, sizeof(in)) < 0);
	usleep(200000);
	kill(pid, SIGKILL);
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "and so does SIGKILL");
}

static void *read_thread(void *fd)
{
	ssize_t n = read(*(int *)fd, in, sizeof(in));

	return (void *)n;
}

/* A reader that sleeps is in nobody's way. */
static void test_both_ways(int fd)
{
	pthread_t thread;
	void *n;

	pthread_create(&thread, NULL, read_thread, &fd);
	usleep(200000);
	fill(30, 9);
	ok(write(fd, out, 30) == 30, "write while another thread sleeps in read");
	pthread_join(thread, &n);
	ok((ssize_t)n == 30 && !memcmp(in, out, 30), "which gets the answer");
}

/* Several readers of one file: each frame goes to one of them, none is forgotten. */
static void test_many_readers(int fd)
{
	enum { READERS = 4, FRAMES = 400 };
	int status, i, good = 1, total = 0, pipes[2];
	pid_t pids[READERS];

	if (pipe(pipes))
		return;
	for (i = 0; i < READERS; i++) {
		int count = 0;

		pids[i] = fork();
		if (pids[i])
			continue;
		while (read(fd, in, sizeof(in)) == 32)
			count++;
		_exit(write(pipes[1], &count, sizeof(count)) < 0);
	}
	for (i = 0; i < FRAMES; i++)
		good &= write(fd, out, 32) == 32;
	/* One frame of another size ends each reader. */
	for (i = 0; i < READERS; i++)
		good &= write(fd, out, 1) == 1;
	for (i = 0; i < READERS; i++) {
		int count = 0;

		waitpid(pids[i], &status, 0);
		good &= read(pipes[0], &count, sizeof(count)) == sizeof(count);
		total += count;
	}
	ok(good && total == FRAMES, "four readers share 400 frames, and all of them wake");
}

int main(void)
{
	struct kring_info info;
	int fd;

	nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	test_open();
	fd = open(DEVICE, O_RDWR);
	test_info(fd, &info);
	test_sizes(fd, &info);
	test_nonblock(fd);
	test_faults(fd);
	test_signals(fd);
	test_both_ways(fd);
	test_many_readers(fd);
	return tap_done();
}
