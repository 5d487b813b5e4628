// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * hammer SECONDS: read, write, poll and reset /dev/kring at once, whatever they answer, and
 * count the answers: "read: 12 of 345 EBADMSG ..." a line. For a host that misbehaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kring.h>

#include <tap.h>

#define ERRORS	256

static int fd;
static bool stop;

/* What one thread has seen: how often each errno, 0 for success. */
struct count {
	const char *name;
	void (*act)(struct count *c);
	unsigned long errors[ERRORS];
};

static void note(struct count *c, long ret)
{
	c->errors[ret < 0 ? errno : 0]++;
}

static void act_read(struct count *c)
{
	static char buf[1 << 20];

	note(c, read(fd, buf, sizeof(buf)));
}

static void act_write(struct count *c)
{
	static char buf[30000];
	static unsigned int len;

	len = (len * 7 + 13) % sizeof(buf);
	note(c, write(fd, buf, len + 1));
}

/* EPOLLERR is told as an EBADMSG: it is what the next call will answer. */
static void act_poll(struct count *c)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	errno = EBADMSG;
	note(c, poll(&p, 1, 10) >= 0 && p.revents & POLLERR ? -1 : 0);
}

static void act_reset(struct count *c)
{
	usleep(5000);
	note(c, ioctl(fd, KRING_IOC_RESET));
}

static void act_info(struct count *c)
{
	struct kring_info info;

	usleep(1000);
	note(c, ioctl(fd, KRING_IOC_INFO, &info));
}

static struct count counts[] = {
	{ .name = "read", .act = act_read },
	{ .name = "write", .act = act_write },
	{ .name = "poll", .act = act_poll },
	{ .name = "reset", .act = act_reset },
	{ .name = "info", .act = act_info },
};

#define ACTS	ARRAY_SIZE(counts)

static void *run(void *arg)
{
	struct count *c = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		c->act(c);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	pthread_t threads[ACTS];
	unsigned int i, e;

	fd = open("/dev/kring", O_RDWR);
	if (argc != 2 || fd < 0) {
		perror("hammer SECONDS: /dev/kring");
		return 1;
	}
	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < ACTS; i++)
		pthread_create(&threads[i], NULL, run, &counts[i]);
	sleep(atoi(argv[1]));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ACTS; i++) {
		/* Who sleeps in read or write is not woken by the host any more. */
		while (pthread_tryjoin_np(threads[i], NULL)) {
			pthread_kill(threads[i], SIGUSR1);
			usleep(10000);
		}
		printf("%s: %lu done", counts[i].name, counts[i].errors[0]);
		for (e = 1; e < ERRORS; e++)
			if (counts[i].errors[e])
				printf(" %lu %s", counts[i].errors[e], strerrorname_np(e));
		printf("\n");
	}
	return 0;
}
