// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The host's end against a guest and a doorbell that obey, are missing, die, or lie.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <kring.h>

#include "guest.h"
#include "scratch.h"
#include "random.h"

/* For what must happen: long. For what must not happen: long enough for the timer. */
#define SOON_MS		2000
#define QUIET_MS	250
#define RESCUE_MS	100
#define NEVER_MS	3600000

static char dir[SCRATCH_LEN];
static char region[SCRATCH_LEN + 8];
static char bell[SCRATCH_LEN + 8];
static struct guest guest;
static struct kring_host *host;
static char buf[1 << 16];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void region_new(uint64_t size)
{
	struct kring_create_args args = { .size = size };
	struct kring_error err;

	unlink(region);
	unlink(bell);
	must(!kring_create(region, &args, &err));
	must(!guest_open(&guest, region));
}

static int attach(const char *doorbell, unsigned int rescue_ms, struct kring_error *err)
{
	struct kring_attach_args args = {
		.region = region, .doorbell = doorbell, .rescue_ms = rescue_ms,
	};

	return kring_host_attach(&host, &args, err);
}

static void both_new(bool with_bell, unsigned int rescue_ms)
{
	struct kring_error err;

	region_new(64 * 4096);
	if (with_bell)
		guest_listen(&guest, bell);
	must(!attach(with_bell ? bell : NULL, rescue_ms, &err));
	if (with_bell)
		must(guest_accept(&guest, SOON_MS));
}

static void both_end(void)
{
	kring_host_detach(host);
	host = NULL;
	guest_close(&guest);
}

static struct kring_host_stats stats(void)
{
	struct kring_host_stats s;

	kring_host_stats(host, &s);
	return s;
}

static bool readable(int timeout_ms)
{
	struct pollfd fd = { .fd = kring_host_fd(host), .events = POLLIN };

	return poll(&fd, 1, timeout_ms) > 0;
}

/* Poll and dispatch for so long. Return: how often it was readable. */
static int dispatch_for(int ms)
{
	double end = seconds() + ms / 1000.0, left;
	int times = 0;

	while ((left = end - seconds()) > 0) {
		if (!readable(left * 1000 + 1))
			break;
		must(!kring_host_dispatch(host));
		times++;
	}
	return times;
}

/* Sleep first, then receive once. */
static ssize_t sleep_recv(void)
{
	if (!readable(SOON_MS))
		return -ETIMEDOUT;
	must(!kring_host_dispatch(host));
	return kring_host_recv(host, buf, sizeof(buf));
}

/* As a caller does it: try, poll, dispatch, try again. */
static ssize_t recv_wait(int timeout_ms)
{
	double end = seconds() + timeout_ms / 1000.0;
	ssize_t n;

	while ((n = kring_host_recv(host, buf, sizeof(buf))) == -EAGAIN) {
		if (seconds() > end || !readable(timeout_ms))
			return -ETIMEDOUT;
		must(!kring_host_dispatch(host));
	}
	return n;
}

static bool connected_soon(bool connected)
{
	double end = seconds() + SOON_MS / 1000.0;

	while (kring_host_connected(host) != connected && seconds() < end)
		dispatch_for(10);
	return kring_host_connected(host) == connected;
}

static void test_verbs(void)
{
	struct kring_frame f;
	size_t max;
	char *big;

	both_new(false, NEVER_MS);
	max = kring_host_frame_max(host);
	ok(kring_host_generation(host) == 2, "attach makes it generation 2");
	ok(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN, "nothing to receive");
	ok(kring_host_send(host, "x", 0) == -EINVAL, "send: 0 bytes are refused");
	big = calloc(1, max + 1);
	ok(kring_host_send(host, big, max + 1) == -EMSGSIZE, "send: max + 1 bytes are refused");
	ok(kring_host_reserve(host, SIZE_MAX, &f) == -EMSGSIZE, "so are 2^64 - 1");
	ok(kring_host_reserve(host, (1ULL << 32) + 1, &f) == -EMSGSIZE, "and 2^32 + 1");
	ok(!kring_host_send(host, big, max), "max bytes are sent");
	free(big);
	ok(kring_host_flush(host) == -EAGAIN && kring_host_pending(host) == max + 8,
	   "and wait for the guest");
	ok(guest_recv(&guest, buf, sizeof(buf)) == (int)max, "who takes them");
	ok(!kring_host_flush(host) && !kring_host_pending(host), "all is taken");
	ok(kring_host_head(host) == max + 8, "head is behind the frame");

	must(!guest_send(&guest, "hello", 5));
	ok(kring_host_recv(host, buf, 4) == -EMSGSIZE, "receive: the buffer is too small");
	ok(kring_host_recv(host, buf, 5) == 5 && !memcmp(buf, "hello", 5), "the frame stayed");
	ok(stats().frames_sent == 1 && stats().bytes_sent == max &&
	   stats().frames_received == 1 && stats().bytes_received == 5, "all is counted");
	ok(!kring_host_fault(host), "no fault");
	kring_host_detach(NULL);
	both_end();
}

static void test_rule_1(void)
{
	both_new(true, NEVER_MS);
	ok(guest_drain(&guest) == 1, "attach kicks once");
	ok(stats().connects == 1 && kring_host_connected(host), "it is connected");
	ok(readable(0), "and makes the caller look once");
	dispatch_for(10);
	ok(!readable(QUIET_MS), "and not again");

	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	guest_hang_up(&guest, false);
	ok(guest_accept(&guest, 0) || (dispatch_for(200) && guest_accept(&guest, SOON_MS)),
	   "it connects again when the connection is lost");
	ok(guest_drain(&guest) == 1 && stats().connects == 2, "and kicks once again");
	both_end();
}

static void test_quiet(void)
{
	int times;

	both_new(true, RESCUE_MS);
	dispatch_for(QUIET_MS);
	ok(!readable(QUIET_MS), "nobody sleeps: not readable at all");

	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	times = dispatch_for(1000);
	ok(times >= 8 && times <= 11, "the host sleeps: readable %d times a second", times);
	ok(!stats().wakeups_rescued, "and nothing was rescued");

	must(!guest_send(&guest, "a", 1));
	ok(readable(RESCUE_MS / 2), "a kick makes it readable");
	must(!kring_host_dispatch(host));
	ok(!readable(0), "dispatch makes it not readable");
	ok(readable(SOON_MS), "until the timer reminds of what was not taken");
	must(!kring_host_dispatch(host));
	ok(recv_wait(SOON_MS) == 1, "which is still there");
	ok(!stats().wakeups_rescued, "a kick came: nothing was rescued");
	ok(stats().kicks_received == 1, "one kick was received");
	dispatch_for(QUIET_MS);
	ok(!readable(QUIET_MS), "not readable when it is taken");
	both_end();
}

static void test_rescue(void)
{
	bool kick = false;
	int i;

	both_new(true, RESCUE_MS);
	dispatch_for(10);
	for (i = 0; i < 5; i++) {
		must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
		must(!guest_publish(&guest, "lost", 4, &kick) && kick);
		must(sleep_recv() == 4);
	}
	ok(stats().wakeups_rescued == 5, "5 lost kicks for data are rescued and counted");

	memset(buf, 0, sizeof(buf));
	for (i = 0; i < 5; i++) {
		while (!kring_host_send(host, buf, 4000))
			;
		kick = false;
		must(guest_take(&guest, buf, sizeof(buf), &kick) == 4000);
		while (!kick)
			must(guest_take(&guest, buf, sizeof(buf), &kick) == 4000);
		must(readable(SOON_MS));
		must(!kring_host_dispatch(host));
	}
	ok(stats().wakeups_rescued == 10, "so are 5 lost kicks for space");

	/* Without a wake-up of its own, data does not profit from an old one. */
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	guest_kick(&guest);
	must(readable(SOON_MS) && !kring_host_dispatch(host));
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	must(!guest_publish(&guest, "lost", 4, &kick));
	must(sleep_recv() == 4);
	ok(stats().wakeups_rescued == 11, "a kick before the sleep does not hide a lost one");
	both_end();

	both_new(false, 20);
	dispatch_for(10);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	must(!guest_publish(&guest, "alone", 5, &kick));
	ok(sleep_recv() == 5, "without a doorbell the timer does it alone");
	both_end();
}

static void test_space(void)
{
	int n = 0, i;

	both_new(true, NEVER_MS);
	dispatch_for(10);
	while (!kring_host_send(host, buf, 1000))
		n++;
	ok(n > 60, "%d frames fill the ring", n);
	ok(!readable(QUIET_MS), "the host sleeps until there is space");
	must(guest_recv(&guest, buf, sizeof(buf)) == 1000);
	ok(readable(SOON_MS) && !kring_host_dispatch(host), "the guest kicks");
	ok(!kring_host_send(host, buf, 1000), "and there is room");
	ok(kring_host_flush(host) == -EAGAIN, "wait until all is taken");
	for (i = 0; i < n - 1; i++)
		must(guest_recv(&guest, buf, sizeof(buf)) == 1000);
	ok(kring_host_flush(host) == -EAGAIN, "one is left");
	dispatch_for(10);
	must(guest_recv(&guest, buf, sizeof(buf)) == 1000);
	ok(readable(SOON_MS) && !kring_host_dispatch(host), "the guest kicks for the last");
	ok(!kring_host_flush(host), "all is taken");
	must(!kring_host_send(host, buf, 1000) && guest_recv(&guest, buf, sizeof(buf)) == 1000);
	guest_drain(&guest);
	ok(!readable(0) && !stats().wakeups_rescued, "awake again, no more kicks");
	both_end();
}

static void test_want_fields(void)
{
	struct kring_error err;

	both_new(false, NEVER_MS);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	while (!kring_host_send(host, buf, 4000))
		;
	ok(READ_ONCE(*guest.g2h.ring.want_data) && READ_ONCE(*guest.h2g.ring.want_space),
	   "want fields are set while the host sleeps");
	kring_host_detach(host);
	ok(!READ_ONCE(*guest.g2h.ring.want_data) && !READ_ONCE(*guest.h2g.ring.want_space),
	   "detach clears them");
	WRITE_ONCE(*guest.g2h.ring.want_data, 1);
	WRITE_ONCE(*guest.h2g.ring.want_space, 1);
	must(!attach(NULL, NEVER_MS, &err));
	ok(!READ_ONCE(*guest.g2h.ring.want_data) && !READ_ONCE(*guest.h2g.ring.want_space),
	   "attach clears what one left that died");
	both_end();
}

static void test_doorbell_comes_late(void)
{
	struct kring_error err;
	double start;

	region_new(64 * 4096);
	must(!attach(bell, RESCUE_MS, &err));
	ok(!kring_host_connected(host), "attach does without the socket");
	must(!kring_host_send(host, "early", 5));
	ok(guest_recv(&guest, buf, sizeof(buf)) == 5, "frames are sent all the same");
	dispatch_for(300);
	guest_listen(&guest, bell);
	start = seconds();
	ok(connected_soon(true) && guest_accept(&guest, SOON_MS), "it is connected to in %.0f ms",
	   (seconds() - start) * 1000);
	ok(guest_drain(&guest) == 1, "and kicked");

	guest_hang_up(&guest, true);
	unlink(bell);
	ok(connected_soon(false), "its loss is noticed");
	must(!guest_send(&guest, "mute", 4));
	ok(recv_wait(SOON_MS) == 4, "frames are received without it");
	guest_listen(&guest, bell);
	ok(connected_soon(true) && guest_accept(&guest, SOON_MS), "connected again");
	ok(stats().connects == 2, "twice in all");

	/* The loss is first noticed by a kick: no SIGPIPE, no error. */
	guest_hang_up(&guest, true);
	WRITE_ONCE(*guest.h2g.ring.want_data, cpu_to_le32(1));
	ok(!kring_host_send(host, "x", 1) && !kring_host_send(host, "y", 1),
	   "send does not mind a lost doorbell");
	ok(!kring_host_connected(host) && stats().kicks_lost >= 2, "and counts the lost kicks");
	both_end();
}

static void test_doorbell_flaps(void)
{
	double end;
	int n = 0;

	/* Who takes each connection to close it is not asked a hundred times a second. */
	both_new(true, RESCUE_MS);
	guest_hang_up(&guest, false);
	for (end = seconds() + 2; seconds() < end; dispatch_for(5)) {
		while (guest_accept(&guest, 0)) {
			guest_hang_up(&guest, false);
			n++;
		}
	}
	ok(n >= 3 && n <= 12, "%d connections in 2 s", n);
	both_end();
}

static void test_doorbell_refused(void)
{
	char path[200];
	struct kring_error err;
	struct kring_stat st;

	region_new(64 * 4096);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ok(attach(path, 0, &err) == -ENAMETOOLONG, "%s", err.text);
	ok(attach("", 0, &err) == -EINVAL, "%s", err.text);
	ok(attach(region, 0, &err) == -ENOTSOCK, "%s", err.text);
	snprintf(path, sizeof(path), "%s/x", region);
	ok(attach(path, 0, &err) == -ENOTDIR, "%s", err.text);
	must(!kring_stat(region, &st, &err));
	ok(st.generation == 1 && !st.owner, "a refused attach leaves the region alone");
	guest_close(&guest);
}

static void test_doorbell_full(void)
{
	double start = seconds();
	int i;

	both_new(true, NEVER_MS);
	for (i = 0; i < 20000; i++) {
		WRITE_ONCE(*guest.h2g.ring.want_data, cpu_to_le32(1));
		must(!kring_host_send(host, "x", 1));
		must(guest_recv(&guest, buf, sizeof(buf)) == 1);
	}
	ok(seconds() - start < 5 && stats().kicks_sent == 20001 && !stats().kicks_lost,
	   "20000 kicks that nobody reads do not block");
	must(guest_drain(&guest) > 0);
	both_end();
}

static bool flood_stop;

static void *flood(void *arg)
{
	static const char zeros[65536];

	while (!__atomic_load_n(&flood_stop, __ATOMIC_RELAXED))
		send(*(int *)arg, zeros, sizeof(zeros), MSG_NOSIGNAL);
	return NULL;
}

static void test_flood(void)
{
	double start = seconds(), slowest = 0, before;
	pthread_t thread;
	int i;

	both_new(true, RESCUE_MS);
	dispatch_for(10);
	while (send(guest.conn, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	must(!kring_host_dispatch(host));
	ok(readable(0), "one dispatch reads only so much");
	must(dispatch_for(100) < 100);
	flood_stop = false;
	must(!pthread_create(&thread, NULL, flood, &guest.conn));
	for (i = 0; i < 2000; i++) {
		before = seconds();
		must(!kring_host_dispatch(host));
		if (seconds() - before > slowest)
			slowest = seconds() - before;
		must(!kring_host_send(host, "x", 1));
		must(guest_recv(&guest, buf, sizeof(buf)) == 1);
	}
	ok(seconds() - start < 10, "a flood of kicks: dispatch took %.1f ms at most",
	   slowest * 1000);
	__atomic_store_n(&flood_stop, true, __ATOMIC_RELAXED);
	dispatch_for(100);
	kring_host_detach(host);
	pthread_join(thread, NULL);
	guest_close(&guest);
}

static void test_owner(void)
{
	char text[96], comm[16], byte;
	struct kring_error err;
	int ready[2];
	pid_t child;

	region_new(64 * 4096);
	must(!pipe(ready));
	child = fork();
	if (!child) {
		must(!attach(NULL, 0, &err));
		must(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1) == 1);
	must(!prctl(PR_GET_NAME, comm));
	snprintf(text, sizeof(text), "its host end is owned by %s (pid %d)", comm, (int)child);
	ok(attach(NULL, 0, &err) == -EBUSY && strstr(err.text, text), "%s", err.text);
	kill(child, SIGKILL);
	must(waitpid(child, NULL, 0) == child);
	ok(!attach(NULL, 0, &err) && kring_host_generation(host) == 3,
	   "when it is killed the region can be adopted: generation 3");
	kring_host_detach(host);
	must(!attach(NULL, 0, &err));
	ok(kring_host_generation(host) == 4, "and again: generation 4");
	close(ready[0]);
	close(ready[1]);
	both_end();
}

/**
 * struct progress - what the killed host has left, in memory that outlives it
 * @received: frames of g2h advanced over; it may have been killed before it counted one
 * @bad: frames that were not the ones due
 */
struct progress {
	uint32_t received;
	uint32_t bad;
	uint32_t rounds;
};

/*
 * All frames take 16 bytes, and carry the number of the frame: so each frame's place tells
 * what it must hold, whoever sends or receives it.
 */
static void adopt_child(struct progress *progress)
{
	struct kring_error err;
	struct kring_frame f;
	bool first = true;
	uint32_t number;

	if (attach(NULL, 0, &err)) {
		progress->bad++;
		_exit(1);
	}
	progress->rounds++;
	for (;;) {
		if (!kring_host_reserve(host, sizeof(number), &f)) {
			number = f.cursor / 16;
			memcpy(f.payload, &number, sizeof(number));
			kring_host_commit(host, &f);
			kring_host_submit(host);
		}
		if (kring_host_peek(host, &f))
			continue;
		memcpy(&number, f.payload, sizeof(number));
		if (f.len != sizeof(number) || number != f.cursor / 16)
			progress->bad++;
		if (number != progress->received) {
			/* Killed between the two lines below, the one before was. */
			if (!first || number != progress->received + 1)
				progress->bad++;
			progress->received = number;
		}
		first = false;
		kring_host_advance(host, &f);
		kring_host_release(host);
		WRITE_ONCE(progress->received, number + 1);
	}
}

static void test_adopt(void)
{
	struct progress *progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t sent = 0, received = 0, number, round;
	uint64_t state = 42;
	struct kring_stat st;
	struct kring_error err;
	bool good = true;
	double end;
	pid_t child;

	must(progress != MAP_FAILED);
	region_new(8 * 4096);
	for (round = 0; round < 200; round++) {
		child = fork();
		if (!child)
			adopt_child(progress);
		end = seconds() + random_below(&state, 5000) / 1e6;
		do {
			while (guest_recv(&guest, &number, sizeof(number)) == sizeof(number))
				expect(&good, number == received++);
			while (!guest_send(&guest, &sent, sizeof(sent)))
				sent++;
		} while (seconds() < end);
		kill(child, SIGKILL);
		must(waitpid(child, NULL, 0) == child);
	}
	while (guest_recv(&guest, &number, sizeof(number)) == sizeof(number))
		expect(&good, number == received++);
	ok(good && received > 1000, "%u hosts killed: %u frames sent, none lost or doubled",
	   progress->rounds, received);
	ok(!progress->bad && progress->received > 1000,
	   "%u frames received, none lost or doubled", progress->received);
	must(!kring_stat(region, &st, &err));
	ok(st.generation >= progress->rounds && st.generation <= 201 && !st.h2g.corrupt &&
	   !st.g2h.corrupt, "generation %llu", (unsigned long long)st.generation);
	ok(st.g2h.in_flight == (sent - progress->received) * 16 ||
	   st.g2h.in_flight == (sent - progress->received - 1) * 16, "the rest still waits");
	munmap(progress, 4096);
	guest_close(&guest);
}

static void test_poisoned(void)
{
	struct kring_error err;
	int i;

	both_new(false, RESCUE_MS);
	must(kring_host_recv(host, buf, sizeof(buf)) == -EAGAIN);
	WRITE_ONCE(*guest.g2h.ring.head, cpu_to_le32(0x7fffff00));
	ok(recv_wait(SOON_MS) == -EBADMSG, "g2h is poisoned");
	ok(!strncmp(kring_host_fault(host), "g2h is poisoned: ", 17), "%s",
	   kring_host_fault(host));
	for (i = 0; i < 1000; i++) {
		must(!kring_host_send(host, "x", 1));
		must(guest_recv(&guest, buf, sizeof(buf)) == 1);
	}
	ok(true, "h2g goes on");
	dispatch_for(QUIET_MS);
	ok(!readable(QUIET_MS), "and the error does not make it readable for ever");
	WRITE_ONCE(*guest.h2g.ring.tail, cpu_to_le32(0x7fffff00));
	memset(buf, 0, sizeof(buf));
	for (i = 0; i < 100; i++)
		if (kring_host_send(host, buf, 4000))
			break;
	ok(kring_host_send(host, buf, 1) == -EBADMSG && kring_host_flush(host) == -EBADMSG,
	   "h2g is poisoned");
	ok(strstr(kring_host_fault(host), "h2g is poisoned: ") &&
	   strstr(kring_host_fault(host), "; g2h is poisoned: "), "%s", kring_host_fault(host));
	kring_host_detach(host);

	ok(attach(NULL, 0, &err) == -EBADMSG && strstr(err.text, ": h2g: "), "%s", err.text);
	WRITE_ONCE(*guest.h2g.ring.tail, READ_ONCE(*guest.h2g.ring.head));
	ok(attach(NULL, 0, &err) == -EBADMSG && strstr(err.text, ": g2h: "), "%s", err.text);
	WRITE_ONCE(*guest.g2h.ring.head, READ_ONCE(*guest.g2h.ring.tail));
	ok(!attach(NULL, 0, &err) && kring_host_generation(host) == 3,
	   "a refused attach does not count as a generation, nor keep the lock");
	both_end();

	both_new(false, RESCUE_MS);
	while (!kring_host_send(host, buf, 4000))
		;
	WRITE_ONCE(*guest.h2g.ring.tail, cpu_to_le32(0x7fffff00));
	ok(readable(SOON_MS) && !kring_host_dispatch(host) &&
	   kring_host_send(host, buf, 4000) == -EBADMSG,
	   "a poisoned h2g wakes who waits for space");
	must(!guest_send(&guest, "x", 1));
	ok(recv_wait(SOON_MS) == 1, "g2h goes on");
	both_end();
}

/* A guest may write to pages that are not its own. It harms nobody else. */
static void test_scribble(void)
{
	struct kring_header *h;
	__le64 generation;
	int i;

	both_new(false, RESCUE_MS);
	h = (void *)guest.base;
	generation = h->generation;
	memset(h, 0xff, 4096);
	h->generation = generation;
	WRITE_ONCE(*guest.h2g.ring.head, cpu_to_le32(12345));
	WRITE_ONCE(*guest.g2h.ring.tail, cpu_to_le32(54321));
	for (i = 0; i < 1000; i++) {
		must(!kring_host_send(host, "ping", 4));
		must(guest_recv(&guest, buf, sizeof(buf)) == 4);
		must(!guest_send(&guest, "pong", 4));
		must(recv_wait(SOON_MS) == 4);
	}
	ok(true, "header and own cursors overwritten: frames go on");
	memset(h, 0xff, 4096);
	ok(kring_host_send(host, "ping", 4) == -ESTALE,
	   "the generation, too: the host is fenced, and %s", kring_host_fault(host));
	both_end();
}

/* A cursor within the ring's size of the other one, or, once in @odds, anywhere. */
static __le32 scribble(__le32 other, int32_t distance, uint64_t *state, uint32_t odds)
{
	return random_below(state, odds) ? cpu_to_le32(le32_to_cpu(other) + distance) :
					   cpu_to_le32(random_next(state));
}

static void *scribbler(void *arg)
{
	uint64_t state = 7;
	uint32_t size = guest.g2h.ring.size;

	(void)arg;
	while (!__atomic_load_n(&flood_stop, __ATOMIC_RELAXED)) {
		kring_store_len(guest.g2h.ring.data + (random_next(&state) & (size - 8)),
				random_below(&state, 8) ? random_below(&state, 100) : 0);
		WRITE_ONCE(*guest.g2h.ring.head,
			   scribble(READ_ONCE(*guest.g2h.ring.tail),
				    random_below(&state, size) & ~7, &state, 1000));
		WRITE_ONCE(*guest.h2g.ring.tail,
			   scribble(READ_ONCE(*guest.h2g.ring.head),
				    -random_below(&state, size), &state, 100000));
	}
	return NULL;
}

static void test_garbage(void)
{
	uint32_t faults = 0, frames = 0, sent = 0;
	struct kring_error err;
	pthread_t thread;
	double end;
	ssize_t n;

	region_new(8 * 4096);
	flood_stop = false;
	must(!pthread_create(&thread, NULL, scribbler, NULL));
	for (end = seconds() + 1; seconds() < end;) {
		host = NULL;
		if (attach(NULL, 1, &err))
			continue;
		do {
			n = kring_host_recv(host, buf, sizeof(buf));
			frames += n > 0;
			sent += !kring_host_send(host, buf, 500);
			must(!kring_host_dispatch(host));
		} while (n != -EBADMSG && seconds() < end);
		faults += n == -EBADMSG;
		kring_host_detach(host);
	}
	__atomic_store_n(&flood_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ok(faults > 100 && frames > 100 && sent > 100,
	   "a second of garbage: %u frames, %u sent, %u faults, no harm", frames, sent, faults);
	guest_close(&guest);
}

/* A guest that sleeps by want fields and doorbell alone, and sends back what it gets. */
static void *echo(void *arg)
{
	struct pollfd fd = { .fd = guest.conn, .events = POLLIN };
	bool stop = false;
	int n;

	(void)arg;
	while (!stop) {
		n = guest_recv(&guest, buf, 64);
		if (n == -EAGAIN) {
			if (!kring_want_data(&guest.h2g)) {
				must(poll(&fd, 1, -1) == 1);
				guest_drain(&guest);
			}
			kring_got_data(&guest.h2g);
			continue;
		}
		must(n > 0);
		stop = buf[0] == 'q';
		while (guest_send(&guest, buf, n) == -EAGAIN) {
			if (!kring_want_space(&guest.g2h)) {
				must(poll(&fd, 1, -1) == 1);
				guest_drain(&guest);
			}
			kring_got_space(&guest.g2h);
		}
	}
	return NULL;
}

static void host_wait(void)
{
	must(readable(-1));
	must(!kring_host_dispatch(host));
}

#define ROUND_TRIPS	20000
#define ECHOES		200000

static void test_echo(void)
{
	uint32_t sent = 0, received = 0, number;
	pthread_t thread;
	double start;
	int i, err;

	/* No timer at either end: one lost wake-up, and the alarm comes. */
	both_new(true, NEVER_MS);
	alarm(60);
	must(!pthread_create(&thread, NULL, echo, NULL));
	start = seconds();
	for (i = 0; i < ROUND_TRIPS; i++) {
		number = i << 8;
		must(!kring_host_send(host, &number, sizeof(number)));
		while ((err = kring_host_recv(host, &number, sizeof(number))) == -EAGAIN)
			host_wait();
		must(err == sizeof(number) && number == (uint32_t)i << 8);
	}
	ok(true, "%u round trips, %.1f us each", ROUND_TRIPS,
	   (seconds() - start) * 1e6 / ROUND_TRIPS);

	start = seconds();
	while (received < ECHOES) {
		number = sent == ECHOES - 1 ? 'q' : sent << 8;
		err = sent < ECHOES ? kring_host_send(host, &number, sizeof(number)) : -EAGAIN;
		if (!err) {
			sent++;
			continue;
		}
		must(err == -EAGAIN);
		while ((err = kring_host_recv(host, &number, sizeof(number))) > 0) {
			must(number == (received == ECHOES - 1 ? 'q' : received << 8));
			received++;
		}
		must(err == -EAGAIN);
		if (received < ECHOES)
			host_wait();
	}
	ok(true, "%u echoes, %.0f frames/s in each direction", ECHOES,
	   ECHOES / (seconds() - start));
	pthread_join(thread, NULL);
	alarm(0);
	ok(!stats().wakeups_rescued, "no timer was needed");
	printf("# kicks sent %llu, suppressed %llu, received %llu\n",
	       (unsigned long long)stats().kicks_sent,
	       (unsigned long long)stats().kicks_suppressed,
	       (unsigned long long)stats().kicks_received);
	both_end();
}

static void hang(int sig)
{
	static const char text[] = "Bail out! hung: a wake-up was lost\n";

	(void)sig;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) > 0)
		_exit(1);
	_exit(2);
}

int main(void)
{
	char cmd[SCRATCH_LEN + 8];

	signal(SIGALRM, hang);
	scratch_make(dir);
	snprintf(region, sizeof(region), "%s/region", dir);
	snprintf(bell, sizeof(bell), "%s/bell", dir);
	test_verbs();
	test_rule_1();
	test_quiet();
	test_rescue();
	test_space();
	test_want_fields();
	test_doorbell_comes_late();
	test_doorbell_flaps();
	test_doorbell_refused();
	test_doorbell_full();
	test_flood();
	test_owner();
	test_adopt();
	test_poisoned();
	test_scribble();
	test_garbage();
	test_echo();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	must(!system(cmd));
	return tap_done();
}
