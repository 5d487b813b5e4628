/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guest's end of a region, and the VMM's end of its doorbell, without a VM.
 */
#ifndef KRING_UNIT_GUEST_H
#define KRING_UNIT_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <kring/region.h>

#include <tap.h>

/**
 * struct guest - the guest's end
 * @base: of the mapped region
 * @layout: of it
 * @h2g: its consumer
 * @g2h: its producer
 * @listener: where the host connects to, -1: no doorbell
 * @conn: the host's connection, -1: none
 */
struct guest {
	uint8_t *base;
	struct kring_layout layout;
	struct kring_consumer h2g;
	struct kring_producer g2h;
	int listener;
	int conn;
};

static inline int guest_attach(struct guest *g)
{
	struct kring_ring h2g, g2h;
	int err;

	kring_layout_rings(&g->layout, g->base, &h2g, &g2h);
	err = kring_consumer_attach(&g->h2g, &h2g);
	return err ? err : kring_producer_attach(&g->g2h, &g2h);
}

static inline int guest_open(struct guest *g, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct kring_fault fault;
	union kring_any_header h;
	struct stat st;

	must(fd >= 0 && !fstat(fd, &st));
	g->base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(g->base != MAP_FAILED);
	close(fd);
	memcpy(&h, g->base, sizeof(h));
	must(!kring_header_check(&h, st.st_size, &g->layout, &fault));
	g->listener = -1;
	g->conn = -1;
	return guest_attach(g);
}

static inline void guest_listen(struct guest *g, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	unlink(path);
	must(strlen(path) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path);
	g->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(g->listener >= 0);
	must(!bind(g->listener, (struct sockaddr *)&addr, sizeof(addr)));
	must(!listen(g->listener, 1));
}

/* Whether the host connected within so long. */
static inline bool guest_accept(struct guest *g, int timeout_ms)
{
	struct pollfd fd = { .fd = g->listener, .events = POLLIN };

	if (poll(&fd, 1, timeout_ms) <= 0)
		return false;
	g->conn = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC);
	must(g->conn >= 0);
	return true;
}

/* The VMM is gone, or only its port. */
static inline void guest_hang_up(struct guest *g, bool stop_listening)
{
	if (g->conn >= 0)
		close(g->conn);
	g->conn = -1;
	if (stop_listening && g->listener >= 0) {
		close(g->listener);
		g->listener = -1;
	}
}

static inline void guest_close(struct guest *g)
{
	guest_hang_up(g, true);
	munmap(g->base, g->layout.region_size);
}

static inline void guest_kick(struct guest *g)
{
	if (g->conn >= 0 && send(g->conn, "g", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		must(errno == EAGAIN || errno == EPIPE);
}

/* How many kicks came. */
static inline int guest_drain(struct guest *g)
{
	char buf[256];
	int kicks = 0;
	ssize_t n;

	while ((n = recv(g->conn, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		kicks += n;
	return kicks;
}

/* Publish a frame; @kick tells whether the host waits for it. */
static inline int guest_publish(struct guest *g, const void *buf, uint32_t len, bool *kick)
{
	struct kring_frame f;
	int err = kring_reserve(&g->g2h, len, &f);

	if (err)
		return err;
	memcpy(f.payload, buf, len);
	kring_commit(&g->g2h, &f);
	*kick = kring_submit(&g->g2h);
	return 0;
}

static inline int guest_send(struct guest *g, const void *buf, uint32_t len)
{
	bool kick = false;
	int err = guest_publish(g, buf, len, &kick);

	if (kick)
		guest_kick(g);
	return err;
}

/* Take a frame; @kick tells whether the host waits for its room. */
static inline int guest_take(struct guest *g, void *buf, uint32_t size, bool *kick)
{
	struct kring_frame f;
	int err = kring_peek(&g->h2g, &f);

	if (err)
		return err;
	must(f.len <= size);
	memcpy(buf, f.payload, f.len);
	kring_advance(&g->h2g, &f);
	*kick = kring_release(&g->h2g);
	return f.len;
}

static inline int guest_recv(struct guest *g, void *buf, uint32_t size)
{
	bool kick = false;
	int n = guest_take(g, buf, size, &kick);

	if (kick)
		guest_kick(g);
	return n;
}

#endif /* KRING_UNIT_GUEST_H */
