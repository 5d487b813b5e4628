// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The guest's end of test traffic, on /dev/kring: one process sends, one receives. With
 * --reopen both go on with the next device when theirs is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"

/* How to wait for the device. */
enum how {
	HOW_BLOCK,
	HOW_POLL,
};

struct options {
	const char *device;
	uint64_t send;
	uint64_t receive;
	uint64_t echo;
	unsigned int delay_us;
	enum how how;
	bool reopen;
};

static int open_device(const struct options *o, int flags)
{
	return open(o->device, flags | O_CLOEXEC | (o->how == HOW_POLL ? O_NONBLOCK : 0));
}

/* The device is gone: open the next one in its place. Return: whether to go on with it. */
static bool reopened(int *fd, const struct options *o, int flags)
{
	if (!o->reopen)
		return false;
	close(*fd);
	do {
		usleep(1000);
		*fd = open_device(o, flags);
	} while (*fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV));
	return *fd >= 0;
}

static int wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

/* One frame, after as long as it takes. */
static ssize_t send_frame(int fd, const void *buf, size_t len)
{
	for (;;) {
		ssize_t n = write(fd, buf, len);

		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (errno == EAGAIN && wait_for(fd, POLLOUT))
			return -errno;
	}
}

static ssize_t receive_frame(int fd, void *buf, size_t size)
{
	for (;;) {
		ssize_t n = read(fd, buf, size);

		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (errno == EAGAIN && wait_for(fd, POLLIN))
			return -errno;
	}
}

static int send_all(int fd, const struct options *o)
{
	uint8_t buf[PATTERN_MAX];
	uint64_t seq;
	ssize_t n = 0;

	for (seq = 0; seq < o->send; seq++) {
		pattern_fill(buf, seq);
		do {
			n = send_frame(fd, buf, pattern_size(seq));
		} while (n == -ENODEV && reopened(&fd, o, O_WRONLY));
		if (n < 0)
			break;
	}
	printf("guest: sent=%llu%s%s\n", (unsigned long long)seq, n < 0 ? " error: " : "",
	       n < 0 ? strerror(-n) : "");
	fflush(stdout);
	return n < 0;
}

static int receive_all(int fd, const struct options *o)
{
	uint8_t buf[PATTERN_MAX];
	struct tally t = { 0 };
	uint64_t received = 0;
	ssize_t n = 0;

	while (t.next < o->receive) {
		do {
			n = receive_frame(fd, buf, sizeof(buf));
		} while (n == -ENODEV && reopened(&fd, o, O_RDONLY));
		if (n < 0)
			break;
		received += tally_count(&t, buf, n);
		if (o->delay_us)
			usleep(o->delay_us);
	}
	printf("guest: received=%llu lost=%llu duplicated=%llu corrupt=%llu%s%s\n",
	       (unsigned long long)received, (unsigned long long)t.lost,
	       (unsigned long long)t.duplicated, (unsigned long long)t.corrupt,
	       n < 0 ? " error: " : "", n < 0 ? strerror(-n) : "");
	fflush(stdout);
	return n < 0 || t.lost || t.duplicated || t.corrupt;
}

static int echo_all(int fd, const struct options *o)
{
	static uint8_t buf[1 << 20];
	uint64_t i;
	ssize_t n = 0;

	for (i = 0; i < o->echo && n >= 0; i++) {
		n = receive_frame(fd, buf, sizeof(buf));
		if (n > 0)
			n = send_frame(fd, buf, n);
	}
	if (n < 0)
		printf("guest: echo: error: %s\n", strerror(-n));
	return n < 0;
}

static const char help[] =
	"usage: traffic-guest [--device PATH] [--send N] [--receive N] [--echo N]\n"
	"                     [--delay MICROSECONDS] [--poll] [--reopen]\n";

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'D' },
		{ "send", required_argument, NULL, 's' },
		{ "receive", required_argument, NULL, 'r' },
		{ "echo", required_argument, NULL, 'e' },
		{ "delay", required_argument, NULL, 'd' },
		{ "poll", no_argument, NULL, 'p' },
		{ "reopen", no_argument, NULL, 'o' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'D':
			o->device = optarg;
			break;
		case 's':
			o->send = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			o->receive = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			o->echo = strtoull(optarg, NULL, 0);
			break;
		case 'd':
			o->delay_us = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			o->how = HOW_POLL;
			break;
		case 'o':
			o->reopen = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct options o = { .device = "/dev/kring" };
	int fd, status = 0, failed = 0;
	pid_t sender;

	if (parse(&o, argc, argv)) {
		fputs(help, stderr);
		return 2;
	}
	fd = open_device(&o, O_RDWR);
	if (fd < 0) {
		perror(o.device);
		return 1;
	}
	if (o.echo)
		return echo_all(fd, &o);

	sender = fork();
	if (sender < 0) {
		perror("fork");
		return 1;
	}
	if (!sender)
		_exit(o.send ? send_all(fd, &o) : 0);
	if (o.receive)
		failed = receive_all(fd, &o);
	if (waitpid(sender, &status, 0) < 0)
		perror("waitpid");
	return failed || status;
}
