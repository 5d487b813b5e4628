// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A host that somebody else has taken over from: it publishes nothing more, leaves the
 * doorbell, and says so.
 */
#include <time.h>

#include <kring.h>

#include "guest.h"
#include "scratch.h"

#define SOON_MS		3000
#define RESCUE_MS	50
#define NEVER_MS	3600000

static char dir[SCRATCH_LEN];
static char region[SCRATCH_LEN + 8];
static char bell[SCRATCH_LEN + 8];
static char saved[SCRATCH_LEN + 8];
static struct guest guest;
static struct kring_host *host;
static struct kring_error err;
static char buf[1 << 16];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int attach(const char *path, const char *doorbell, unsigned int rescue_ms,
		  struct kring_host **other)
{
	struct kring_attach_args args = {
		.region = path, .doorbell = doorbell, .rescue_ms = rescue_ms,
	};

	return kring_host_attach(other, &args, &err);
}

static void both_new(enum kring_format format, bool with_bell, unsigned int rescue_ms)
{
	struct kring_create_args args = { .size = 64 * 4096, .format = format };

	unlink(region);
	unlink(saved);
	unlink(bell);
	must(!kring_create(region, &args, &err));
	must(!kring_clone(region, saved, NULL, &err));
	must(!guest_open(&guest, region));
	if (with_bell)
		guest_listen(&guest, bell);
	must(!attach(region, with_bell ? bell : NULL, rescue_ms, &host));
	if (with_bell)
		must(guest_accept(&guest, SOON_MS));
}

static void both_end(void)
{
	kring_host_detach(host);
	host = NULL;
	guest_close(&guest);
}

/* Another host, whose lock of the same file has not held this one off. */
static void take_over(uint64_t generation)
{
	struct kring_header *h = (void *)guest.base;

	WRITE_ONCE(h->generation, cpu_to_le64(generation));
}

/* A restore: another file at the path. */
static void restore(void)
{
	must(!kring_clone(saved, region, NULL, &err));
}

static bool readable(int timeout_ms)
{
	struct pollfd fd = { .fd = kring_host_fd(host), .events = POLLIN };

	return poll(&fd, 1, timeout_ms) > 0;
}

/* As a caller that sleeps: until dispatch fails. */
static int dispatch_until(int timeout_ms)
{
	double end = seconds() + timeout_ms / 1000.0;
	int code = 0;

	while (!code && seconds() < end) {
		if (!readable(100))
			continue;
		code = kring_host_dispatch(host);
		if (!code)
			kring_host_recv(host, buf, sizeof(buf));
	}
	return code;
}

/* All words of both rings that the host writes. */
struct words {
	__le32 h2g_head;
	__le32 want_space;
	__le32 g2h_tail;
	__le32 want_data;
};

static struct words words(void)
{
	struct words w = {
		*guest.h2g.ring.head, *guest.h2g.ring.want_space, *guest.g2h.ring.tail,
		*guest.g2h.ring.want_data,
	};

	return w;
}

static bool words_are(struct words was)
{
	struct words now = words();

	return !memcmp(&was, &now, sizeof(now));
}

static bool all_stale(void)
{
	struct kring_frame f;
	bool good = true;

	expect(&good, kring_host_send(host, "x", 1) == -ESTALE);
	expect(&good, kring_host_reserve(host, 1, &f) == -ESTALE);
	expect(&good, kring_host_recv(host, buf, sizeof(buf)) == -ESTALE);
	expect(&good, kring_host_peek(host, &f) == -ESTALE);
	expect(&good, kring_host_flush(host) == -ESTALE);
	expect(&good, kring_host_dispatch(host) == -ESTALE);
	kring_host_submit(host);
	kring_host_release(host);
	return good;
}

/* Of each verb, that it is the one that notices. */
enum verb {
	SEND, RESERVE, SUBMIT, RECV, PEEK, RELEASE, FLUSH, DISPATCH, DETACH, VERBS,
};

static int verb_call(enum verb verb)
{
	struct kring_frame f;

	switch (verb) {
	case SEND:
		return kring_host_send(host, "x", 1);
	case RESERVE:
		return kring_host_reserve(host, 1, &f);
	case SUBMIT:
		kring_host_submit(host);
		return -ESTALE;
	case RECV:
		return kring_host_recv(host, buf, sizeof(buf));
	case PEEK:
		return kring_host_peek(host, &f);
	case RELEASE:
		kring_host_release(host);
		return -ESTALE;
	case FLUSH:
		return kring_host_flush(host);
	case DISPATCH:
		return kring_host_dispatch(host);
	default:
		kring_host_detach(host);
		host = NULL;
		return -ESTALE;
	}
}

static void test_verbs(void)
{
	struct kring_frame f;
	enum verb verb;
	struct words was;

	for (verb = 0; verb < VERBS; verb++) {
		both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
		/* A batch under way each way, and a sleep announced each way. */
		must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
		while (!kring_host_send(host, buf, 4000))
			;
		must(guest_recv(&guest, buf, sizeof(buf)) == 4000);
		must(guest_recv(&guest, buf, sizeof(buf)) == 4000);
		must(!guest_send(&guest, "1", 1) && !guest_send(&guest, "2", 1));
		must(!kring_host_peek(host, &f));
		kring_host_advance(host, &f);
		must(!kring_host_reserve(host, 100, &f));
		kring_host_commit(host, &f);

		take_over(99);
		/* The other host sleeps, and must go on doing so. */
		WRITE_ONCE(*guest.g2h.ring.want_data, cpu_to_le32(1));
		WRITE_ONCE(*guest.h2g.ring.want_space, cpu_to_le32(8));
		was = words();
		ok(verb_call(verb) == -ESTALE && words_are(was),
		   "verb %d finds that another host has taken over, and writes nothing", verb);
		if (host) {
			ok(!strcmp(kring_host_fault(host),
				   "another host has taken over: generation 99") &&
			   all_stale() && words_are(was), "and so do all others");
			kring_host_detach(host);
			ok(words_are(was), "nor does detach");
			host = NULL;
		}
		both_end();
	}
}

/* A batch that fills the ring would be published on the way, and a sleep announced. */
static void test_full(void)
{
	struct kring_frame f;
	struct words was;
	int code;

	both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
	while (!(code = kring_host_reserve(host, 4000, &f)))
		kring_host_commit(host, &f);
	must(code == -EAGAIN);
	take_over(99);
	was = words();
	ok(kring_host_reserve(host, 4000, &f) == -ESTALE && words_are(was),
	   "a full ring: no sleep is announced");
	both_end();
}

/* What only the path tells is found by whoever is about to write, a second later. */
static void test_path_alone(void)
{
	struct words was;

	both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
	restore();
	must(!kring_host_send(host, "x", 1));
	usleep(1200 * 1000);
	was = words();
	ok(kring_host_send(host, "x", 1) == -ESTALE && words_are(was), "send looks at the path");
	both_end();

	both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
	restore();
	must(!guest_send(&guest, "x", 1) && !guest_send(&guest, "y", 1));
	must(kring_host_recv(host, buf, sizeof(buf)) == 1);
	usleep(1200 * 1000);
	was = words();
	ok(kring_host_recv(host, buf, sizeof(buf)) == -ESTALE && words_are(was),
	   "so does recv");
	both_end();

	both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
	restore();
	usleep(1200 * 1000);
	was = words();
	ok(kring_host_recv(host, buf, sizeof(buf)) == -ESTALE && words_are(was),
	   "before it announces a sleep, too");
	both_end();

	both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
	while (!kring_host_send(host, buf, 4000))
		;
	WRITE_ONCE(*guest.h2g.ring.want_space, 0);
	restore();
	usleep(1200 * 1000);
	was = words();
	ok(kring_host_send(host, buf, 4000) == -ESTALE && words_are(was), "and send likewise");
	both_end();
}

static void test_sleeper(void)
{
	struct words was;
	char byte;

	both_new(KRING_FORMAT_NATIVE, false, NEVER_MS);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	while (!kring_host_send(host, buf, 4000))
		;
	take_over(7);
	was = words();
	must(was.want_data && was.want_space);
	kring_host_detach(host);
	ok(words_are(was), "detach wakes nobody but its own host");
	host = NULL;
	both_end();

	both_new(KRING_FORMAT_NATIVE, true, RESCUE_MS);
	guest_drain(&guest);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	take_over(7);
	ok(dispatch_until(SOON_MS) == -ESTALE, "who sleeps is told by the timer");
	ok(recv(guest.conn, &byte, 1, 0) == 0, "and leaves the doorbell to the other host");
	ok(!kring_host_connected(host) && all_stale(), "for good");
	both_end();
}

static void test_restored(void)
{
	struct kring_host *other;
	uint8_t uuid[2][KRING_UUID_LEN];
	struct words was;
	double start;

	both_new(KRING_FORMAT_NATIVE, true, RESCUE_MS);
	must(kring_host_uuid(host, uuid[0]));
	ok(!kring_host_restored(host), "never restored");
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	must(dispatch_until(100) == 0);
	restore();
	start = seconds();
	was = words();
	ok(dispatch_until(SOON_MS) == -ESTALE && seconds() - start < 1.5,
	   "another file at the path: noticed after %.0f ms", (seconds() - start) * 1000);
	snprintf(buf, sizeof(buf), "the region at %s is another file now", region);
	ok(!strcmp(kring_host_fault(host), buf), "%s", kring_host_fault(host));
	ok(all_stale() && words_are(was), "nothing is published in the old one either");
	ok(!attach(region, NULL, 0, &other) && kring_host_generation(other) == 4 &&
	   kring_host_restored(other) == 3, "the new one can be attached to");
	ok(kring_host_uuid(other, uuid[1]) && !memcmp(uuid[0], uuid[1], sizeof(uuid[0])),
	   "and has the old one's uuid");
	ok(!kring_host_send(other, "x", 1), "and works");
	kring_host_detach(other);
	both_end();
}

/* Whoever listens anew at the doorbell's path may be the restored VM. */
static void test_reconnect(void)
{
	double start;

	both_new(KRING_FORMAT_NATIVE, true, RESCUE_MS);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	must(dispatch_until(1200) == 0);
	/* Looked at within the last tenth of a second or so: the next time is far away. */
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	guest_hang_up(&guest, true);
	restore();
	guest_listen(&guest, bell);
	start = seconds();
	ok(dispatch_until(SOON_MS) == -ESTALE && seconds() - start < 0.7,
	   "when the doorbell is connected anew the path is looked at: %.0f ms",
	   (seconds() - start) * 1000);
	ok(guest_accept(&guest, SOON_MS) && recv(guest.conn, buf, 1, 0) == 0,
	   "and who listens there now is not kicked");
	both_end();
}

static void test_quiet_paths(void)
{
	struct kring_host *other;
	char text[64], path[256];
	int fd;

	both_new(KRING_FORMAT_NATIVE, false, RESCUE_MS);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	unlink(region);
	ok(dispatch_until(1500) == 0 && !kring_host_fault(host),
	   "a path that is gone fences nobody");
	restore();
	ok(dispatch_until(SOON_MS) == -ESTALE, "unless another file comes there");
	both_end();

	both_new(KRING_FORMAT_NATIVE, false, RESCUE_MS);
	kring_host_detach(host);
	must(!chdir(dir) && !attach("region", NULL, RESCUE_MS, &host) && !chdir("/"));
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	ok(dispatch_until(1500) == 0, "a path is relative to where attach was called");
	restore();
	ok(dispatch_until(SOON_MS) == -ESTALE, "and looked at there");

	/* So long that only its end is told. */
	kring_host_detach(host);
	snprintf(path, sizeof(path), "%s/%0128d", dir, 0);
	must(!rename(region, path) && !attach(path, NULL, RESCUE_MS, &host));
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	must(!kring_clone(saved, path, NULL, &err));
	ok(dispatch_until(SOON_MS) == -ESTALE &&
	   strlen(kring_host_fault(host)) == strlen("the region at  is another file now") + 112 &&
	   strstr(kring_host_fault(host), "the region at ...000"), "%s", kring_host_fault(host));
	must(!rename(path, region));

	fd = open(region, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
	must(!attach(text, NULL, RESCUE_MS, &other));
	kring_host_detach(host);
	host = other;
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	ok(dispatch_until(1500) == 0, "a region that is an open file has a path that stays");
	close(fd);
	both_end();
}

static void test_amrb(void)
{
	uint8_t uuid[KRING_UUID_LEN];

	both_new(KRING_FORMAT_AMRB, false, RESCUE_MS);
	ok(!kring_host_restored(host) && !kring_host_uuid(host, uuid) &&
	   !kring_host_generation(host), "AMRB has neither uuid nor generation");
	ok(!kring_host_send(host, "x", 1) && guest_recv(&guest, buf, sizeof(buf)) == 1,
	   "so nothing is missed");
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	restore();
	ok(dispatch_until(SOON_MS) == -ESTALE, "but another file at its path is noticed");
	both_end();
}

int main(void)
{
	char cmd[SCRATCH_LEN + 8];

	scratch_make(dir);
	snprintf(region, sizeof(region), "%s/region", dir);
	snprintf(saved, sizeof(saved), "%s/saved", dir);
	snprintf(bell, sizeof(bell), "%s/bell", dir);
	test_verbs();
	test_full();
	test_path_alone();
	test_sleeper();
	test_restored();
	test_reconnect();
	test_quiet_paths();
	test_amrb();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	must(!system(cmd));
	return tap_done();
}
