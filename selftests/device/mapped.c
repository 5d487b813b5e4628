// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Programs that have mapped /dev/kring, and sleep.
 *
 *	mapped in|out		announce, sleep in poll(), and print what it says
 *	mapped bus NODE		print "mapped", touch each part of the region again and again, and
 *				print how each ends, and what a new mapping says then
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "mapped.h"

static sigjmp_buf back;

static void jump_back(int sig)
{
	siglongjmp(back, sig);
}

static void say(const char *what, const char *how)
{
	printf("%s: %s\n", what, how);
	fflush(stdout);
}

/* The signal that a look at @at ends with, or 0. */
static int look(const uint32_t *at)
{
	int sig = sigsetjmp(back, 1);

	if (!sig)
		(void)READ_ONCE(*at);
	return sig;
}

static int wait_for_bus(const char *node)
{
	int fd = must_open(node, O_RDWR), i;
	void *all = map_all(fd), *parts[] = {
		all,
		must_map(fd, RW, layout.h2g.tail, PAGE),
		must_map(fd, RW, layout.g2h.head, PAGE),
		must_map(fd, RW, layout.g2h.data, layout.g2h.size),
	};

	signal(SIGBUS, jump_back);
	signal(SIGSEGV, jump_back);
	for (i = 0; i < 4; i++)
		must(!look(parts[i]));
	say(node, "mapped");
	while (!look(all))
		usleep(1000);
	for (i = 0; i < 4; i++)
		say(node, look(parts[i]) == SIGBUS ? "SIGBUS" : "not SIGBUS");
	say(node, map(fd, RO, 0, PAGE) == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	must_close(fd);
	return 0;
}

static int wait_for_frame(int fd, struct kring_ring *in)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct kring_consumer c;

	own_h2g(fd, in);
	must(!kring_consumer_attach(&c, in) && !kring_want_data(&c));
	must(poll(&p, 1, -1) == 1);
	say("poll", p.revents == POLLIN && kring_readable(&c) ? "IN" : "something else");
	return 0;
}

static int wait_for_room(int fd, struct kring_ring *out)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct kring_producer k;
	struct kring_frame f;

	own_g2h(fd, out);
	must(!kring_producer_attach(&k, out));
	while (!kring_reserve(&k, 1000, &f))
		kring_commit(&k, &f);
	kring_submit(&k);
	must(!kring_want_space(&k));
	say("ring", "full");
	must(poll(&p, 1, -1) == 1);
	say("poll", p.revents == POLLOUT && kring_writable(&k) ? "OUT" : "something else");
	return 0;
}

int main(int argc, char **argv)
{
	struct kring_ring in, out;
	int fd;

	if (argc == 3 && !strcmp(argv[1], "bus"))
		return wait_for_bus(argv[2]);
	must(argc == 2);
	fd = must_open("/dev/kring", O_RDWR);
	kring_layout_rings(&layout, map_all(fd), &in, &out);
	return strcmp(argv[1], "out") ? wait_for_frame(fd, &in) : wait_for_room(fd, &out);
}
