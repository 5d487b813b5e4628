// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Two threads exchange frames of random sizes, in both formats, for ThreadSanitizer: it
 * sees an ordering that is missing also where this CPU would have ordered by itself.
 *
 *	exchange [FRAMES]	so many in each format; the default is a million
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/kring.h>
#include <kring/barrier.h>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

/*
 * ThreadSanitizer has no model of fences, and where one is needed it sees one here. It orders
 * more than a fence does, but never payload: what that needs is acquire and release, and with
 * those gone there is always a frame between two of these.
 */
#ifdef THREAD_SANITIZER
static unsigned int fence;

#undef kring_mb
#define kring_mb() ((void)__atomic_fetch_add(&fence, 0, __ATOMIC_SEQ_CST))

const char *__tsan_default_options(void);

/* One report says it, and thousands say no more. */
const char *__tsan_default_options(void)
{
	return "halt_on_error=1";
}
#endif

#include <kring/region.h>

#include <tap.h>
#include <unit/random.h>

#define ALARM_SECONDS	240
#define GRANULE		4096
#define SIZE		4096
#define SPINS		64

/* So often somebody else takes over a side, and finds all in the region. */
#define TAKEOVER	256

/* What frames are cut from: each byte is another, so a frame from elsewhere is seen. */
static uint8_t text[4 * SIZE];

static uint8_t region[GRANULE + 2 * (2 * GRANULE + SIZE)] __attribute__((aligned(4096)));

struct side {
	struct kring_ring ring;
	int own_bell;
	int peer_bell;
	uint32_t frames;
	uint64_t sleeps;
	uint64_t bytes;
	uint64_t sum;
	const char *fault;
};

static void kick(struct side *s, bool awaited)
{
	uint64_t one = 1;

	if (awaited)
		must(write(s->peer_bell, &one, sizeof(one)) == sizeof(one));
}

static void sleep_on_bell(struct side *s)
{
	uint64_t kicks;

	s->sleeps++;
	must(read(s->own_bell, &kicks, sizeof(kicks)) == sizeof(kicks));
}

/* The next frame, from a state that both sides have. */
static const uint8_t *next_frame(const struct kring_ring *ring, uint64_t *state, uint32_t *len)
{
	*len = 1 + random_below(state, random_below(state, 32) ? 64 : ring->send_max);
	return text + random_below(state, sizeof(text) - *len);
}

/* Of private memory alone: the sanitizer would take most of the time for this. */
__attribute__((no_sanitize("thread")))
static uint64_t checksum(uint64_t sum, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3ULL;
	return sum;
}

static void *produce(void *arg)
{
	struct side *s = arg;
	uint64_t state = 7, dice = 3;
	const uint8_t *bytes;
	struct kring_producer p;
	struct kring_frame f;
	uint32_t i, len, spins = 0;
	int err;

	must(!kring_producer_attach(&p, &s->ring));
	for (i = 0; i < s->frames; i++) {
		bytes = next_frame(&s->ring, &state, &len);
		while ((err = kring_reserve(&p, len, &f)) == -EAGAIN) {
			if (kring_unsubmitted(&p))
				kick(s, kring_submit(&p));
			if (++spins % SPINS) {
				sched_yield();
				continue;
			}
			if (!kring_want_space(&p))
				sleep_on_bell(s);
			kring_got_space(&p);
		}
		if (err) {
			s->fault = p.fault ? p.fault : "refused";
			break;
		}
		memcpy(f.payload, bytes, len);
		s->sum = checksum(s->sum, bytes, len);
		s->bytes += len;
		kring_commit(&p, &f);
		if (!random_below(&dice, 4))
			kick(s, kring_submit(&p));
		if (!kring_unsubmitted(&p) && !random_below(&dice, TAKEOVER))
			must(!kring_producer_attach(&p, &s->ring));
	}
	kick(s, kring_submit(&p));
	return NULL;
}

static void *consume(void *arg)
{
	struct side *s = arg;
	uint64_t state = 7, dice = 5;
	static uint8_t copy[SIZE];
	struct kring_consumer c;
	struct kring_frame f;
	uint32_t i, len, spins = 0;
	const uint8_t *bytes;
	int err;

	must(!kring_consumer_attach(&c, &s->ring));
	for (i = 0; i < s->frames; i++) {
		bytes = next_frame(&s->ring, &state, &len);
		while ((err = kring_peek(&c, &f)) == -EAGAIN) {
			if (kring_unreleased(&c))
				kick(s, kring_release(&c));
			if (++spins % SPINS) {
				sched_yield();
				continue;
			}
			if (!kring_want_data(&c))
				sleep_on_bell(s);
			kring_got_data(&c);
		}
		if (err) {
			s->fault = c.fault;
			break;
		}
		if (f.len != len) {
			s->fault = "a frame of another length";
			break;
		}
		memcpy(copy, f.payload, len);
		if (memcmp(copy, bytes, len)) {
			s->fault = "a frame of other bytes";
			break;
		}
		s->sum = checksum(s->sum, copy, len);
		s->bytes += len;
		kring_advance(&c, &f);
		if (!random_below(&dice, 4))
			kick(s, kring_release(&c));
		if (!kring_unreleased(&c) && !random_below(&dice, TAKEOVER))
			must(!kring_consumer_attach(&c, &s->ring));
	}
	kick(s, kring_release(&c));
	return NULL;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void region_native(void)
{
	struct kring_header *h = (void *)region;

	h->magic = cpu_to_le32(KRING_MAGIC);
	h->version = cpu_to_le32(KRING_VERSION);
	h->state = cpu_to_le32(KRING_STATE_READY);
	h->granule = cpu_to_le32(GRANULE);
	h->region_size = cpu_to_le64(sizeof(region));
	strcpy((char *)h->name, "exchange");
	h->h2g.offset = cpu_to_le64(GRANULE);
	h->h2g.size = cpu_to_le64(SIZE);
	h->g2h.offset = cpu_to_le64(GRANULE + 2 * GRANULE + SIZE);
	h->g2h.size = cpu_to_le64(SIZE);
}

static void region_amrb(void)
{
	struct kring_amrb_header *h = (void *)region;

	h->magic = cpu_to_le32(KRING_AMRB_MAGIC);
	h->version = cpu_to_le32(KRING_AMRB_VERSION);
	h->state = cpu_to_le32(KRING_AMRB_READY);
	h->data_size = cpu_to_le32(SIZE);
	h->total_size = cpu_to_le64(sizeof(*h) + 2 * SIZE);
}

static void run(enum kring_format format, uint32_t frames)
{
	int producer_bell = eventfd(0, EFD_CLOEXEC);
	int consumer_bell = eventfd(0, EFD_CLOEXEC);
	const char *name = format == KRING_FORMAT_NATIVE ? "native" : "AMRB";
	struct side p = { .own_bell = producer_bell, .peer_bell = consumer_bell, .frames = frames };
	struct side c = { .own_bell = consumer_bell, .peer_bell = producer_bell, .frames = frames };
	struct kring_ring h2g, g2h;
	struct kring_layout layout;
	struct kring_fault fault;
	pthread_t producer, consumer;
	double start;

	must(producer_bell >= 0 && consumer_bell >= 0);
	memset(region, 0, sizeof(region));
	if (format == KRING_FORMAT_NATIVE)
		region_native();
	else
		region_amrb();
	must(!kring_header_check((void *)region, sizeof(region), &layout, &fault));
	kring_layout_rings(&layout, region, &h2g, &g2h);
	must(layout.format == format && !h2g.want_data == (format == KRING_FORMAT_AMRB));
	/* So that the cursors pass 2^32 on the way. */
	*h2g.head = cpu_to_le32(-64U * SIZE);
	*h2g.tail = cpu_to_le32(-64U * SIZE);
	p.ring = h2g;
	c.ring = h2g;

	start = seconds();
	alarm(ALARM_SECONDS);
	must(!pthread_create(&consumer, NULL, consume, &c));
	must(!pthread_create(&producer, NULL, produce, &p));
	pthread_join(consumer, NULL);
	if (!c.fault)
		pthread_join(producer, NULL);
	alarm(0);

	if (c.fault || p.fault)
		printf("# consumer: %s; producer: %s\n", c.fault ? c.fault : "good",
		       p.fault ? p.fault : "good");
	ok(!c.fault && !p.fault && p.bytes == c.bytes && p.sum == c.sum && *h2g.head == *h2g.tail,
	   "%s: %u frames, %llu bytes", name, frames, (unsigned long long)c.bytes);
	printf("# %.1f s; producer slept %llu times, consumer %llu\n", seconds() - start,
	       (unsigned long long)p.sleeps, (unsigned long long)c.sleeps);
	/* A producer that nobody reads from sleeps for ever, and its bells are its own. */
	if (c.fault)
		exit(tap_done());
	close(producer_bell);
	close(consumer_bell);
}

static void hang(int sig)
{
	static const char message[] = "Bail out! hung: a wake-up was lost\n";

	(void)sig;
	if (write(STDOUT_FILENO, message, sizeof(message) - 1) > 0)
		_exit(1);
	_exit(2);
}

int main(int argc, char **argv)
{
	uint32_t frames = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	uint64_t state = 1;
	size_t i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = random_next(&state);
	signal(SIGALRM, hang);
	run(KRING_FORMAT_NATIVE, frames);
	run(KRING_FORMAT_AMRB, frames);
	return tap_done();
}
