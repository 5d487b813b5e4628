// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * failnth: every system call on the device, and the load of its modules, with each of its
 * allocations and copies failing once (/proc/thread-self/fail-nth). What fails does so with an
 * errno that says so, loses nothing, and works when it is tried again.
 *
 *	failnth calls GUEST HOST	both ends of one region (kring_loop)
 *	failnth load MODULE.ko [PARAMETERS]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/kring.h>

#include "tap.h"

#define FRAME	1000

/**
 * struct ends - what the calls are made on
 * @paths: of the devices
 * @guest: opened
 * @host: the other end of the region
 * @buf: to read to
 * @frame: what is sent
 */
static struct ends {
	const char *paths[2];
	int guest;
	int host;
	char buf[FRAME];
	char frame[FRAME];
} ends;

/* A module, as finit_module() wants it. */
static struct module {
	int fd;
	const char *parameters;
	char name[64];
} module;

/**
 * struct call - one kind of system call
 * @name: for the result
 * @prepare: what must be so before; may be NULL
 * @make: the call: negative: it has failed, and errno says why
 * @check: after each, with what it has returned: whether that is right; puts all back
 */
struct call {
	const char *name;
	void (*prepare)(void);
	long (*make)(void);
	bool (*check)(long ret);
};

static int fail_nth;

static void set_fail_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* What is armed still may be this write's own copy: once. */
	must(pwrite(fail_nth, text, len, 0) == len || pwrite(fail_nth, text, len, 0) == len);
}

/* Whether a failure was made since set_fail_nth(): else it may be this read's own. */
static bool has_failed(void)
{
	char text[16] = "";
	ssize_t len = pread(fail_nth, text, sizeof(text) - 1, 0);

	return len > 0 && !atoi(text);
}

/* What a failure that was made may be called. */
static bool is_clean(int error)
{
	return error == ENOMEM || error == EFAULT || error == ENOSPC || error == EAGAIN ||
	       error == EINVAL;
}

static void run(const struct call *call)
{
	unsigned int points = 0, failed = 0;
	bool good = true, injected;
	int error;
	long ret;

	do {
		if (call->prepare)
			call->prepare();
		set_fail_nth(points + 1);
		ret = call->make();
		error = errno;
		injected = has_failed();
		set_fail_nth(0);
		if (ret < 0) {
			failed++;
			expect(&good, injected);
			if (!is_clean(error))
				printf("# point %u: %s\n", points + 1, strerrorname_np(error));
			expect(&good, is_clean(error));
		}
		expect(&good, call->check(ret));
		points += injected;
	} while (injected && points < 100000);
	ok(good && ret >= 0, "%s: %u points, %u errors, then it succeeds", call->name, points,
	   failed);
}

static long do_open(void)
{
	return open(ends.paths[0], O_RDWR | O_NONBLOCK);
}

static bool close_it(long fd)
{
	return fd < 0 || !close(fd);
}

static void send_to_guest(void)
{
	must(write(ends.host, ends.frame, FRAME) == FRAME);
}

static long do_read(void)
{
	memset(ends.buf, 0, FRAME);
	return read(ends.guest, ends.buf, FRAME);
}

static long do_readv(void)
{
	struct iovec iov[] = {
		{ ends.buf, 10 }, { ends.buf + 10, FRAME - 20 }, { ends.buf + FRAME - 10, 10 },
	};

	memset(ends.buf, 0, FRAME);
	return readv(ends.guest, iov, ARRAY_SIZE(iov));
}

/* A frame that could not be read is read by the next call. */
static bool is_read(long ret)
{
	if (ret < 0)
		ret = do_read();
	return ret == FRAME && !memcmp(ends.buf, ends.frame, FRAME);
}

static long do_write(void)
{
	return write(ends.guest, ends.frame, FRAME);
}

static long do_writev(void)
{
	struct iovec iov[] = {
		{ ends.frame, 10 },
		{ ends.frame + 10, FRAME - 20 },
		{ ends.frame + FRAME - 10, 10 },
	};

	return writev(ends.guest, iov, ARRAY_SIZE(iov));
}

/* The whole frame has arrived, or nothing has. */
static bool is_written(long ret)
{
	long got;

	memset(ends.buf, 0, FRAME);
	got = read(ends.host, ends.buf, FRAME);
	if (ret < 0)
		return got < 0 && errno == EAGAIN;
	return ret == FRAME && got == FRAME && !memcmp(ends.buf, ends.frame, FRAME);
}

static long do_poll(void)
{
	struct pollfd p = { .fd = ends.guest, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0);
}

static long do_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	long ret = epoll;
	int error;

	if (epoll >= 0) {
		ret = epoll_ctl(epoll, EPOLL_CTL_ADD, ends.guest, &event);
		error = errno;
		close(epoll);
		errno = error;
	}
	return ret;
}

static long do_info(void)
{
	struct kring_info info;

	return ioctl(ends.guest, KRING_IOC_INFO, &info);
}

static long do_kick(void)
{
	return ioctl(ends.guest, KRING_IOC_KICK);
}

static long do_reset(void)
{
	return ioctl(ends.guest, KRING_IOC_RESET);
}

static long do_mmap(void)
{
	void *map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, ends.guest, 0);

	return map == MAP_FAILED ? -1 : munmap(map, getpagesize());
}

/* Nothing is left of it that could be wrong. */
static bool leaves_nothing(long ret)
{
	(void)ret;
	return true;
}

static const struct call calls[] = {
	{ "open", NULL, do_open, close_it },
	{ "read", send_to_guest, do_read, is_read },
	{ "readv", send_to_guest, do_readv, is_read },
	{ "write", NULL, do_write, is_written },
	{ "writev", NULL, do_writev, is_written },
	{ "poll", NULL, do_poll, leaves_nothing },
	{ "epoll", NULL, do_epoll, leaves_nothing },
	{ "info", NULL, do_info, leaves_nothing },
	{ "kick", NULL, do_kick, leaves_nothing },
	{ "reset", NULL, do_reset, leaves_nothing },
	{ "mmap", NULL, do_mmap, leaves_nothing },
};

static int run_calls(const char *guest, const char *host)
{
	unsigned int i;

	ends.paths[0] = guest;
	ends.paths[1] = host;
	run(&calls[0]);
	ends.guest = open(guest, O_RDWR | O_NONBLOCK);
	ends.host = open(host, O_RDWR | O_NONBLOCK);
	must(ends.guest >= 0 && ends.host >= 0);
	for (i = 0; i < FRAME; i++)
		ends.frame[i] = 1 + i % 251;
	for (i = 1; i < ARRAY_SIZE(calls); i++)
		run(&calls[i]);
	return tap_done();
}

static long do_load(void)
{
	return syscall(SYS_finit_module, module.fd, module.parameters, 0);
}

static bool unload(long ret)
{
	return ret < 0 || !syscall(SYS_delete_module, module.name, 0);
}

static int run_load(const char *path, const char *parameters)
{
	static const struct call load = { "load", NULL, do_load, unload };
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	snprintf(module.name, sizeof(module.name), "%.*s", (int)strcspn(name, "."), name);
	module.parameters = parameters;
	module.fd = open(path, O_RDONLY | O_CLOEXEC);
	must(module.fd >= 0);
	run(&load);
	return tap_done();
}

int main(int argc, char **argv)
{
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	must(fail_nth >= 0);
	if (argc == 4 && !strcmp(argv[1], "calls"))
		return run_calls(argv[2], argv[3]);
	if (argc >= 3 && !strcmp(argv[1], "load"))
		return run_load(argv[2], argc > 3 ? argv[3] : "");
	fprintf(stderr, "usage: failnth calls GUEST HOST | load MODULE.ko [PARAMETERS]\n");
	return 2;
}
