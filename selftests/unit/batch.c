// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * libkring: many frames behind one publish and one kick, and frames gathered from several
 * places, in both formats.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <kring.h>

#include "guest.h"
#include "scratch.h"

static char dir[SCRATCH_LEN];
static char region[SCRATCH_LEN + 8];
static char bell[SCRATCH_LEN + 8];
static struct guest guest;
static struct kring_host *host;
static const char *format_name;

static void both_new(enum kring_format format)
{
	struct kring_create_args create = { .size = 64 * 4096, .format = format };
	struct kring_attach_args attach = {
		.region = region, .doorbell = bell, .rescue_ms = 3600000,
	};
	struct kring_error err;

	format_name = format == KRING_FORMAT_AMRB ? "amrb" : "native";
	must(!kring_create(region, &create, &err));
	must(!guest_open(&guest, region));
	guest_listen(&guest, bell);
	must(!kring_host_attach(&host, &attach, &err));
	must(guest_accept(&guest, 5000));
	must(guest_drain(&guest) == 1);
}

static void both_end(void)
{
	kring_host_detach(host);
	guest_close(&guest);
	unlink(region);
	unlink(bell);
}

static uint64_t kicks(void)
{
	struct kring_host_stats s;

	kring_host_stats(host, &s);
	return s.kicks_sent;
}

static void batch_send(void)
{
	struct kring_frame f;
	uint64_t before;
	char buf[16];
	int i;

	/* The guest sleeps, and has announced it where the format lets it. */
	kring_want_data(&guest.h2g);
	before = kicks();
	for (i = 0; i < 10; i++) {
		must(!kring_host_reserve(host, sizeof(i), &f));
		memcpy(f.payload, &i, sizeof(i));
		kring_host_commit(host, &f);
	}
	ok(kring_peek(&guest.h2g, &f) == -EAGAIN, "%s: a batch is not seen before submit",
	   format_name);
	ok(kicks() == before, "%s: nor heard of", format_name);
	kring_host_submit(host);
	ok(kicks() == before + 1, "%s: submit kicks once for all of it", format_name);
	for (i = 0; i < 10; i++)
		if (guest_recv(&guest, buf, sizeof(buf)) != sizeof(i) || memcmp(buf, &i, sizeof(i)))
			break;
	ok(i == 10, "%s: and all ten frames are there, in order", format_name);
}

static void batch_full(void)
{
	struct kring_frame f;
	int sent = 0, received = 0, err;
	char buf[4096];

	/* Who waits for room has published what it made before, or nobody would make any. */
	while (!(err = kring_host_reserve(host, 1000, &f))) {
		memset(f.payload, sent, f.len);
		kring_host_commit(host, &f);
		sent++;
	}
	must(err == -EAGAIN);
	while (guest_recv(&guest, buf, sizeof(buf)) == 1000 && buf[0] == (char)received)
		received++;
	ok(sent > 10 && received == sent, "%s: a batch that fills the ring is published",
	   format_name);
}

static void batch_receive(void)
{
	struct kring_frame f;
	uint64_t before;
	int i, got = 0;

	for (i = 0; i < 10; i++)
		must(!guest_send(&guest, "frame", 5));
	/* The guest waits for all of the ring. */
	guest.g2h.want = guest.g2h.ring.size;
	kring_want_space(&guest.g2h);
	before = kicks();
	for (i = 0; i < 10; i++) {
		must(!kring_host_peek(host, &f));
		got += f.len == 5 && !memcmp(f.payload, "frame", 5);
		kring_host_advance(host, &f);
	}
	must(!kring_load_tail(&guest.g2h));
	ok(got == 10 && guest.g2h.head != guest.g2h.tail && kicks() == before,
	   "%s: room is not given back before release", format_name);
	kring_host_release(host);
	must(!kring_load_tail(&guest.g2h));
	ok(guest.g2h.head == guest.g2h.tail && kicks() == before + 1,
	   "%s: release gives all of it, and kicks once", format_name);
	kring_got_space(&guest.g2h);

	must(!guest_send(&guest, "last", 4));
	must(!kring_host_peek(host, &f));
	kring_host_advance(host, &f);
	must(kring_host_peek(host, &f) == -EAGAIN);
	must(!kring_load_tail(&guest.g2h));
	ok(guest.g2h.head == guest.g2h.tail, "%s: and so does finding nothing more", format_name);
}

static void gather(void)
{
	char a[3] = "abc", b[1] = "d", c[6] = "efghij", buf[16];
	struct iovec out[] = { { a, 3 }, { b, 1 }, { NULL, 0 }, { c, 6 } };
	struct iovec huge[] = { { a, SIZE_MAX }, { b, 1 } };
	struct iovec in[] = { { a, 2 }, { NULL, 0 }, { buf, 16 } };

	ok(!kring_host_sendv(host, out, 4) && guest_recv(&guest, buf, sizeof(buf)) == 10 &&
	   !memcmp(buf, "abcdefghij", 10), "%s: four places make one frame", format_name);
	ok(kring_host_sendv(host, out, 0) == -EINVAL, "%s: none make no frame", format_name);
	ok(kring_host_sendv(host, huge, 2) == -EMSGSIZE, "%s: nor does more than memory",
	   format_name);
	must(!guest_send(&guest, "0123456789", 10));
	ok(kring_host_recvv(host, in, 2) == -EMSGSIZE, "%s: a frame larger than all places stays",
	   format_name);
	ok(kring_host_recvv(host, in, 3) == 10 && !memcmp(a, "01", 2) &&
	   !memcmp(buf, "23456789", 8), "%s: and is scattered to three", format_name);
	ok(kring_host_recvv(host, in, 3) == -EAGAIN, "%s: once", format_name);
}

int main(void)
{
	static const enum kring_format formats[] = { KRING_FORMAT_NATIVE, KRING_FORMAT_AMRB };
	size_t i;

	scratch_make(dir);
	snprintf(region, sizeof(region), "%s/region", dir);
	snprintf(bell, sizeof(bell), "%s/bell", dir);
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		both_new(formats[i]);
		batch_send();
		batch_full();
		batch_receive();
		gather();
		both_end();
	}
	must(!rmdir(dir));
	return tap_done();
}
