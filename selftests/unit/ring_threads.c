// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The ring between two threads that sleep by the want fields alone. No timer rescues
 * anybody: one lost wake-up, and the test hangs, which the alarm makes a failure.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/kring.h>
#include <kring/ring.h>

#include "random.h"
#include <tap.h>

#define ALARM_SECONDS	120

struct pair {
	struct kring_producer_page producer __attribute__((aligned(4096)));
	struct kring_consumer_page consumer __attribute__((aligned(4096)));
	uint8_t data[1 << 20] __attribute__((aligned(4096)));
};

static struct pair mem;

/**
 * struct plan - one run
 * @name: for the result
 * @size: of the ring
 * @largest: payload
 * @rare: one in so many is as large as that, the others have 64 bytes at most
 * @frames: how many
 * @batch: the largest number between two submits, or two releases
 * @nap: one in so many frames, wait a moment first; 0: never
 */
struct plan {
	const char *name;
	uint32_t size;
	uint32_t largest;
	uint32_t rare;
	uint32_t frames;
	uint32_t batch;
	uint32_t nap;
};

struct side {
	const struct plan *plan;
	struct kring_ring ring;
	int own_bell;
	int peer_bell;
	uint64_t kicks;
	uint64_t sleeps;
	uint32_t bad;
};

static void kick(struct side *s, bool awaited)
{
	uint64_t one = 1;

	if (!awaited)
		return;
	s->kicks++;
	must(write(s->peer_bell, &one, sizeof(one)) == sizeof(one));
}

static void sleep_on_bell(struct side *s)
{
	uint64_t kicks;

	s->sleeps++;
	must(read(s->own_bell, &kicks, sizeof(kicks)) == sizeof(kicks));
}

static void nap(const struct plan *plan, uint64_t *state)
{
	uint32_t i;

	if (!plan->nap || random_below(state, plan->nap))
		return;
	if (random_below(state, 2)) {
		sched_yield();
		return;
	}
	for (i = random_below(state, 2000); i; i--)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static uint32_t frame_len(const struct plan *plan, uint64_t *state)
{
	return 1 + random_below(state, random_below(state, plan->rare) ? 64 : plan->largest);
}

static void *produce(void *arg)
{
	struct side *s = arg;
	uint64_t lens = 99, dice = 3;
	struct kring_producer p;
	struct kring_frame f;
	uint32_t i, len, open = 0;
	int err;

	must(!kring_producer_attach(&p, &s->ring));
	for (i = 0; i < s->plan->frames; i++) {
		len = frame_len(s->plan, &lens);
		nap(s->plan, &dice);
		while ((err = kring_reserve(&p, len, &f)) == -EAGAIN) {
			if (open) {
				kick(s, kring_submit(&p));
				open = 0;
			}
			if (!kring_want_space(&p))
				sleep_on_bell(s);
			kring_got_space(&p);
		}
		if (err) {
			s->bad++;
			break;
		}
		pattern_fill(f.payload, len, i);
		kring_commit(&p, &f);
		if (++open > random_below(&dice, s->plan->batch)) {
			kick(s, kring_submit(&p));
			open = 0;
		}
	}
	kick(s, kring_submit(&p));
	return NULL;
}

static void *consume(void *arg)
{
	struct side *s = arg;
	uint64_t lens = 99, dice = 5;
	struct kring_consumer c;
	struct kring_frame f;
	uint32_t i, open = 0;
	int err;

	must(!kring_consumer_attach(&c, &s->ring));
	for (i = 0; i < s->plan->frames; i++) {
		nap(s->plan, &dice);
		while ((err = kring_peek(&c, &f)) == -EAGAIN) {
			if (open) {
				kick(s, kring_release(&c));
				open = 0;
			}
			if (!kring_want_data(&c))
				sleep_on_bell(s);
			kring_got_data(&c);
		}
		if (err) {
			s->bad++;
			printf("# frame %u: %s\n", i, c.fault);
			break;
		}
		if (f.len != frame_len(s->plan, &lens) || !pattern_check(f.payload, f.len, i))
			s->bad++;
		kring_advance(&c, &f);
		if (++open > random_below(&dice, s->plan->batch)) {
			kick(s, kring_release(&c));
			open = 0;
		}
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

static void run(const struct plan *plan)
{
	struct kring_ring ring = {
		.head = &mem.producer.head,
		.want_space = &mem.producer.want_space,
		.tail = &mem.consumer.tail,
		.want_data = &mem.consumer.want_data,
		.data = mem.data,
		.size = plan->size,
		.header = sizeof(struct kring_frame_header),
		.align = KRING_FRAME_ALIGN,
		.max = plan->size / 2 - 8,
		.send_max = plan->size / 2 - 8,
	};
	int producer_bell = eventfd(0, EFD_CLOEXEC);
	int consumer_bell = eventfd(0, EFD_CLOEXEC);
	struct side p = { plan, ring, producer_bell, consumer_bell, 0, 0, 0 };
	struct side c = { plan, ring, consumer_bell, producer_bell, 0, 0, 0 };
	pthread_t producer, consumer;
	double start, took;

	memset(&mem, 0, sizeof(mem));
	/* So that the cursors pass 2^32 on the way. */
	mem.producer.head = cpu_to_le32(-16U * plan->size);
	mem.consumer.tail = cpu_to_le32(-16U * plan->size);
	must(producer_bell >= 0 && consumer_bell >= 0);

	start = seconds();
	alarm(ALARM_SECONDS);
	must(!pthread_create(&consumer, NULL, consume, &c));
	must(!pthread_create(&producer, NULL, produce, &p));
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	alarm(0);
	took = seconds() - start;

	ok(!p.bad && !c.bad && mem.producer.head == mem.consumer.tail,
	   "%s: %u frames, %.0f frames/s", plan->name, plan->frames, plan->frames / took);
	printf("# producer slept %llu times, consumer %llu; kicks %llu and %llu\n",
	       (unsigned long long)p.sleeps, (unsigned long long)c.sleeps,
	       (unsigned long long)p.kicks, (unsigned long long)c.kicks);
	close(producer_bell);
	close(consumer_bell);
}

/*
 * One publishes while the other announces its sleep, both as close to the same moment as
 * can be: one of them must see what the other has done. This is what the full barriers are
 * for, and nothing but they.
 */
#define MEETINGS	300000

static struct kring_producer sb_producer;
static struct kring_consumer sb_consumer;
static uint32_t sb_arrived;
static bool sb_space;
static bool sb_kick;
static bool sb_awake;

static void sb_meet(uint32_t *arrivals, uint64_t *jitter)
{
	uint32_t spins = 0, late;

	*arrivals += 2;
	__atomic_add_fetch(&sb_arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&sb_arrived, __ATOMIC_SEQ_CST) < *arrivals)
		if (++spins % 4096 == 0)
			sched_yield();
	for (late = random_below(jitter, 64); late; late--)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void sb_produce(void)
{
	struct kring_frame f;

	if (sb_space) {
		WRITE_ONCE(sb_awake, kring_want_space(&sb_producer));
		return;
	}
	must(!kring_reserve(&sb_producer, 8, &f));
	kring_commit(&sb_producer, &f);
	WRITE_ONCE(sb_kick, kring_submit(&sb_producer));
}

static void sb_consume(void)
{
	struct kring_frame f;

	if (!sb_space) {
		WRITE_ONCE(sb_awake, kring_want_data(&sb_consumer));
		return;
	}
	must(!kring_peek(&sb_consumer, &f));
	kring_advance(&sb_consumer, &f);
	WRITE_ONCE(sb_kick, kring_release(&sb_consumer));
}

static void *sb_consumer_thread(void *arg)
{
	uint32_t i, arrivals = 0;
	uint64_t jitter = 1;

	(void)arg;
	for (i = 0; i < MEETINGS; i++) {
		sb_meet(&arrivals, &jitter);
		sb_consume();
		sb_meet(&arrivals, &jitter);
		sb_meet(&arrivals, &jitter);
	}
	return NULL;
}

/* Empty, and nobody sleeps; for space, as full as can be, and a frame was refused. */
static void sb_prepare(const struct kring_ring *ring)
{
	struct kring_frame f;
	int err;

	mem.producer.want_space = 0;
	mem.consumer.want_data = 0;
	mem.consumer.tail = mem.producer.head;
	must(!kring_producer_attach(&sb_producer, ring));
	if (sb_space) {
		while (!(err = kring_reserve(&sb_producer, ring->max, &f)))
			kring_commit(&sb_producer, &f);
		must(err == -EAGAIN);
		kring_submit(&sb_producer);
	}
	must(!kring_consumer_attach(&sb_consumer, ring));
}

static void test_barriers(bool space)
{
	struct kring_ring ring = {
		.head = &mem.producer.head,
		.want_space = &mem.producer.want_space,
		.tail = &mem.consumer.tail,
		.want_data = &mem.consumer.want_data,
		.data = mem.data,
		.size = 4096,
		.header = sizeof(struct kring_frame_header),
		.align = KRING_FRAME_ALIGN,
		.max = 4096 / 2 - 8,
		.send_max = 4096 / 2 - 8,
	};
	uint32_t i, arrivals = 0, lost = 0;
	uint64_t jitter = 2;
	pthread_t thread;

	memset(&mem, 0, sizeof(mem));
	sb_arrived = 0;
	sb_space = space;
	sb_prepare(&ring);
	alarm(ALARM_SECONDS);
	must(!pthread_create(&thread, NULL, sb_consumer_thread, NULL));
	for (i = 0; i < MEETINGS; i++) {
		sb_meet(&arrivals, &jitter);
		sb_produce();
		sb_meet(&arrivals, &jitter);
		lost += !READ_ONCE(sb_kick) && !READ_ONCE(sb_awake);
		sb_prepare(&ring);
		sb_meet(&arrivals, &jitter);
	}
	pthread_join(thread, NULL);
	alarm(0);
	ok(!lost, "%s meets sleep %u times, %u wake-ups lost", space ? "release" : "submit",
	   MEETINGS, lost);
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
	static const struct plan plans[] = {
		{ "a ring of one page, frame by frame", 4096, 2040, 16, 400000, 1, 0 },
		{ "a ring of one page, with naps", 4096, 2040, 16, 300000, 1, 8 },
		{ "small frames in batches", 65536, 64, 1, 1000000, 16, 0 },
		{ "all sizes in batches, with naps", 1 << 20, 65536, 16, 300000, 8, 16 },
		{ "a ring of one page that is always full", 4096, 2040, 1, 50000, 1, 4 },
	};
	size_t i;

	signal(SIGALRM, hang);
	test_barriers(false);
	test_barriers(true);
	for (i = 0; i < ARRAY_SIZE(plans); i++)
		run(&plans[i]);
	return tap_done();
}
