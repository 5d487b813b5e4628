// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A guest without a VM: frames between the guest's end of a region and kringd --listen.
 *
 *	guest_bridge REGION DOORBELL SOCKET
 *
 * It listens on DOORBELL as a VMM does. When kringd goes it connects again, when it is sent
 * SIGUSR1 it publishes nonsense in g2h, for a second, and when it is sent SIGUSR2 it goes on with
 * what is at REGION now, as a guest that was restored.
 */
#include <signal.h>
#include <stdlib.h>

#include <kring/stream.h>

#include <unit/guest.h>

/* kringd --listen does not know how short the frames of the ring are. */
#include "../../host/split.c"

static volatile sig_atomic_t poison, restored;

static void on_poison(int sig)
{
	(void)sig;
	poison = 1;
}

static void on_restored(int sig)
{
	(void)sig;
	restored = 1;
}

/* One frame that the other side has no room for, and how much of its payload has gone. */
static struct pending {
	char bytes[KRING_STREAM_FRAME_MAX];
	ssize_t len;
	size_t done;
} to_kringd, to_host;

static int connect_kringd(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	must(strlen(path) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path);
	for (;;) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		must(fd >= 0);
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		close(fd);
		poll(NULL, 0, 10);
	}
}

/* Whether anything went; -1: kringd has gone. */
static int pump_to_kringd(struct guest *g, int fd)
{
	int went = 0;

	for (;;) {
		if (!to_kringd.len) {
			to_kringd.len = guest_recv(g, to_kringd.bytes, sizeof(to_kringd.bytes));
			if (to_kringd.len == -EAGAIN) {
				to_kringd.len = 0;
				return went;
			}
			must(to_kringd.len > 0);
		}
		if (send(fd, to_kringd.bytes, to_kringd.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return errno == EAGAIN ? went : -1;
		to_kringd.len = 0;
		went = 1;
	}
}

static bool send_pieces(struct guest *g)
{
	static char piece[KRING_STREAM_FRAME_MAX];
	size_t max = g->g2h.ring.send_max, done = to_host.done, len;

	must((size_t)to_host.len >= FRAME_HEADER);
	if (max > sizeof(piece))
		max = sizeof(piece);
	do {
		len = split_next(to_host.bytes, to_host.len, &done, max, piece);
		if (guest_send(g, piece, len))
			return false;
		to_host.done = done;
	} while (done < to_host.len - FRAME_HEADER);
	return true;
}

static int pump_to_host(struct guest *g, int fd)
{
	int went = 0;

	for (;;) {
		if (!to_host.len) {
			to_host.len = recv(fd, to_host.bytes, sizeof(to_host.bytes),
					   MSG_DONTWAIT);
			if (to_host.len < 0 && errno == EAGAIN) {
				to_host.len = 0;
				return went;
			}
			if (to_host.len <= 0) {
				to_host.len = 0;
				return -1;
			}
		}
		if (!send_pieces(g))
			return went;
		to_host.len = 0;
		to_host.done = 0;
		went = 1;
	}
}

/* What is asked for in the ring, a kick tells of; looking now and then costs little. */
static void nap(struct guest *g, int fd)
{
	struct pollfd fds[] = {
		{ .fd = g->conn, .events = POLLIN },
		{ .fd = g->conn < 0 ? g->listener : -1, .events = POLLIN },
		{ .fd = fd, .events = (to_host.len ? 0 : POLLIN) | (to_kringd.len ? POLLOUT : 0) },
	};

	poll(fds, 3, 1);
	if (fds[1].revents)
		must(guest_accept(g, 0));
	if (fds[0].revents && !guest_drain(g))
		guest_hang_up(g, false);
}

static void restore(struct guest *g, const char *region, const char *bell)
{
	restored = 0;
	guest_close(g);
	must(!guest_open(g, region));
	guest_listen(g, bell);
}

static void bridge(struct guest *g, char **argv)
{
	const char *path = argv[3];
	int fd = connect_kringd(path), down, up;

	while (!poison) {
		if (restored)
			restore(g, argv[1], argv[2]);
		down = pump_to_kringd(g, fd);
		up = pump_to_host(g, fd);
		if (down < 0 || up < 0) {
			close(fd);
			to_kringd.len = 0;
			to_host.len = 0;
			to_host.done = 0;
			fd = connect_kringd(path);
		} else if (!down && !up) {
			nap(g, fd);
		}
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct guest g;
	__le32 head;

	must(argc == 4);
	must(signal(SIGUSR1, on_poison) != SIG_ERR);
	must(signal(SIGUSR2, on_restored) != SIG_ERR);
	must(!guest_open(&g, argv[1]));
	guest_listen(&g, argv[2]);
	for (;;) {
		bridge(&g, argv);
		poison = 0;
		head = *g.g2h.ring.head;
		WRITE_ONCE(*g.g2h.ring.head, cpu_to_le32(le32_to_cpu(head) + 0x7fffff00));
		poll(NULL, 0, 1000);
		/* As a guest that has reset its ring. */
		WRITE_ONCE(*g.g2h.ring.head, head);
	}
}
