// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A guest for the tests of the kring tool.
 *
 *	fake_guest REGION echo [SOCKET]	send back each frame, for ever; listen on SOCKET
 *	fake_guest REGION take N	wait for N frames, write their payload to stdout
 *	fake_guest REGION send TEXT...	send each TEXT as a frame
 *	fake_guest REGION poison	publish nonsense in g2h
 */
#include "guest.h"

static char buf[1 << 20];

static void nap(struct guest *g)
{
	struct pollfd fds[2] = {
		{ .fd = g->conn, .events = POLLIN },
		{ .fd = g->conn < 0 ? g->listener : -1, .events = POLLIN },
	};

	poll(fds, 2, 1);
	if (fds[1].revents)
		must(guest_accept(g, 0));
	if (fds[0].revents && !guest_drain(g))
		guest_hang_up(g, false);
}

static int take(struct guest *g)
{
	int n;

	while ((n = guest_recv(g, buf, sizeof(buf))) == -EAGAIN)
		nap(g);
	must(n > 0);
	return n;
}

static void echo(struct guest *g)
{
	int n, err;

	for (;;) {
		n = take(g);
		while ((err = guest_send(g, buf, n)) == -EAGAIN)
			nap(g);
		must(!err);
	}
}

int main(int argc, char **argv)
{
	struct guest g;
	int i, n;

	must(argc >= 3);
	must(!guest_open(&g, argv[1]));
	if (!strcmp(argv[2], "echo")) {
		if (argc > 3)
			guest_listen(&g, argv[3]);
		echo(&g);
	} else if (!strcmp(argv[2], "take")) {
		for (i = atoi(argv[3]); i; i--) {
			n = take(&g);
			must(fwrite(buf, n, 1, stdout) == 1);
		}
	} else if (!strcmp(argv[2], "send")) {
		for (i = 3; i < argc; i++)
			must(!guest_send(&g, argv[i], strlen(argv[i])));
	} else if (!strcmp(argv[2], "poison")) {
		WRITE_ONCE(*g.g2h.ring.head, cpu_to_le32(0x7fffff00));
	} else {
		return 2;
	}
	return 0;
}
