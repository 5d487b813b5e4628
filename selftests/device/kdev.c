// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kdev: system calls on /dev/kring, one a word, for tests that steer from the host.
 *
 *	kdev r|w|rw|- CALL...
 *
 * With - the device is its standard input, which others may have as well. CALL is read, write,
 * poll, info, reset, mmap, pause (a second), wait (for POLLPRI), or wait-in (for POLLIN). Prints
 * a line for each: what it returned, or the errno's name. Nothing but the waits blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kring.h>

static void do_poll(int fd, short events, int timeout)
{
	struct pollfd p = { .fd = fd, .events = events };

	poll(&p, 1, timeout);
	printf("poll:%s%s%s%s%s\n", p.revents & POLLIN ? " IN" : "",
	       p.revents & POLLOUT ? " OUT" : "", p.revents & POLLPRI ? " PRI" : "",
	       p.revents & POLLERR ? " ERR" : "", p.revents & POLLHUP ? " HUP" : "");
}

static void do_info(int fd)
{
	struct kring_info info;

	if (ioctl(fd, KRING_IOC_INFO, &info))
		printf("info: %s\n", strerrorname_np(errno));
	else
		printf("info: generation %llu%s%s\n", (unsigned long long)info.generation,
		       info.flags & KRING_INFO_H2G_POISONED ? " h2g poisoned" : "",
		       info.flags & KRING_INFO_G2H_POISONED ? " g2h poisoned" : "");
}

static int do_call(int fd, const char *call)
{
	static char buf[1 << 20];
	long ret;

	if (!strcmp(call, "poll")) {
		do_poll(fd, POLLIN | POLLOUT | POLLPRI, 0);
		return 0;
	}
	if (!strcmp(call, "wait")) {
		do_poll(fd, POLLPRI, -1);
		return 0;
	}
	if (!strcmp(call, "wait-in")) {
		do_poll(fd, POLLIN, -1);
		return 0;
	}
	if (!strcmp(call, "info")) {
		do_info(fd);
		return 0;
	}
	if (!strcmp(call, "pause")) {
		sleep(1);
		return 0;
	}
	if (!strcmp(call, "read"))
		ret = read(fd, buf, sizeof(buf));
	else if (!strcmp(call, "write"))
		ret = write(fd, buf, 16);
	else if (!strcmp(call, "reset"))
		ret = ioctl(fd, KRING_IOC_RESET);
	else if (!strcmp(call, "mmap"))
		ret = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
	else
		return 2;
	if (ret < 0)
		printf("%s: %s\n", call, strerrorname_np(errno));
	else
		printf("%s: %ld\n", call, ret);
	return 0;
}

int main(int argc, char **argv)
{
	int fd, i, err = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: kdev r|w|rw|- CALL...\n");
		return 2;
	}
	if (!strcmp(argv[1], "-"))
		fd = fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);	/* 0, or -1 */
	else
		fd = open("/dev/kring", O_NONBLOCK | (!strcmp(argv[1], "r") ? O_RDONLY :
						      !strcmp(argv[1], "w") ? O_WRONLY : O_RDWR));
	if (fd < 0) {
		printf("open: %s\n", strerrorname_np(errno));
		return 1;
	}
	for (i = 2; i < argc && !err; i++)
		err = do_call(fd, argv[i]);
	return err;
}
