// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The host's end of test traffic, on libkring. May be killed at any instruction: the next
 * one goes on from its ledger.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <kring.h>

#include "ledger.h"
#include "pattern.h"

struct options {
	struct kring_attach_args attach;
	const char *ledger;
	uint64_t send;
	uint64_t receive;
	uint64_t ping;
	bool echo;
	unsigned int delay_us;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

static void take_over(struct kring_host *host, struct ledger *l)
{
	if (l->sending != l->sent && kring_host_head(host) != l->head)
		l->sent = l->sending;
	l->sending = l->sent;
}

static int send_one(struct kring_host *host, struct ledger *l)
{
	struct kring_frame frame;
	int err;

	err = kring_host_reserve(host, pattern_size(l->sent), &frame);
	if (err)
		return err;
	pattern_fill(frame.payload, l->sent);
	kring_store_release(&l->head, kring_host_head(host));
	kring_store_release(&l->sending, l->sent + 1);
	kring_host_commit(host, &frame);
	kring_host_submit(host);
	kring_store_release(&l->sent, l->sending);
	return 0;
}

static int receive_one(struct kring_host *host, struct ledger *l, bool *first)
{
	struct tally before = l->tally;
	uint8_t buf[PATTERN_MAX];
	struct kring_frame frame;
	struct pattern p;
	int err;

	err = kring_host_peek(host, &frame);
	if (err)
		return err;
	if (frame.len < sizeof(p) || frame.len > sizeof(buf))
		return -EBADMSG;
	memcpy(buf, frame.payload, frame.len);
	memcpy(&p, buf, sizeof(p));
	/* Counted by the process that was killed before it gave the room back. */
	if (*first && p.seq + 1 == before.next)
		printf("host: frame %llu again, as its last owner was killed with it\n",
		       (unsigned long long)p.seq);
	else
		tally_count(&l->tally, buf, frame.len);
	*first = false;
	kring_host_advance(host, &frame);
	kring_host_release(host);
	return 0;
}

static int wait_and_dispatch(struct kring_host *host, int timeout_ms)
{
	struct pollfd p = { .fd = kring_host_fd(host), .events = POLLIN };

	if (poll(&p, 1, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	return kring_host_dispatch(host);
}

static int exchange(struct kring_host *host, struct ledger *l, const struct options *o)
{
	uint64_t due = now_us();
	bool first = true;
	int err = 0;

	while (!err && (l->sent < o->send || l->tally.next < o->receive)) {
		bool idle = true, slow = false;

		if (l->sent < o->send) {
			err = send_one(host, l);
			idle = err == -EAGAIN;
		}
		if ((!err || err == -EAGAIN) && l->tally.next < o->receive) {
			slow = o->delay_us && now_us() < due;
			if (!slow) {
				due = now_us() + o->delay_us;
				err = receive_one(host, l, &first);
				idle = idle && err == -EAGAIN;
			}
		}
		if (err == -EAGAIN)
			err = 0;
		if (!err && idle)
			err = wait_and_dispatch(host, slow ? 1 : -1);
	}
	/* The guest's receiver is done when it has taken all. */
	while (!err && kring_host_pending(host))
		err = wait_and_dispatch(host, 10);
	return err;
}

/* Send each frame back, until killed. */
static int echo(struct kring_host *host)
{
	struct kring_frame in, out;
	int err;

	for (;;) {
		err = kring_host_peek(host, &in);
		if (!err)
			err = kring_host_reserve(host, in.len, &out);
		if (!err) {
			memcpy(out.payload, in.payload, in.len);
			kring_host_commit(host, &out);
			kring_host_submit(host);
			kring_host_advance(host, &in);
			kring_host_release(host);
		}
		if (err == -EAGAIN)
			err = wait_and_dispatch(host, -1);
		if (err)
			return err;
	}
}

/* The first frame, which waits for the guest's program to start, is not timed. */
static int ping(struct kring_host *host, uint64_t count)
{
	uint64_t seq, longest = 0, total = 0;
	uint8_t buf[PATTERN_MAX];
	struct tally t = { 0 };

	for (seq = 0; seq < count; seq++) {
		uint64_t start = now_us(), took;
		ssize_t n;
		int err;

		pattern_fill(buf, seq);
		err = kring_host_send(host, buf, pattern_size(seq));
		if (err)
			return err;
		while ((n = kring_host_recv(host, buf, sizeof(buf))) == -EAGAIN) {
			err = wait_and_dispatch(host, -1);
			if (err)
				return err;
		}
		if (n < 0)
			return n;
		if (!tally_count(&t, buf, n))
			return -EBADMSG;
		took = seq ? now_us() - start : 0;
		total += took;
		longest = took > longest ? took : longest;
	}
	printf("host: pings=%lu mean_us=%lu max_us=%lu\n", count,
	       count > 1 ? total / (count - 1) : 0, longest);
	return 0;
}

static void report(struct kring_host *host, const struct ledger *l)
{
	struct kring_host_stats s;

	kring_host_stats(host, &s);
	printf("host: sent=%lu received=%lu lost=%lu duplicated=%lu corrupt=%lu\n", l->sent,
	       l->tally.next - l->tally.lost, l->tally.lost, l->tally.duplicated,
	       l->tally.corrupt);
	printf("host: kicks_sent=%lu kicks_suppressed=%lu kicks_received=%lu", s.kicks_sent,
	       s.kicks_suppressed, s.kicks_received);
	printf(" wakeups_rescued=%lu\n", s.wakeups_rescued);
}

static const char help[] =
	"usage: traffic-host --region PATH [--doorbell SOCKET] [--ledger PATH] [--send N]\n"
	"                    [--receive N] [--ping N] [--echo] [--delay MICROSECONDS]\n";

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "region", required_argument, NULL, 'R' },
		{ "doorbell", required_argument, NULL, 'D' },
		{ "ledger", required_argument, NULL, 'l' },
		{ "send", required_argument, NULL, 's' },
		{ "receive", required_argument, NULL, 'r' },
		{ "ping", required_argument, NULL, 'p' },
		{ "echo", no_argument, NULL, 'e' },
		{ "delay", required_argument, NULL, 'd' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'R':
			o->attach.region = optarg;
			break;
		case 'D':
			o->attach.doorbell = optarg;
			break;
		case 'l':
			o->ledger = optarg;
			break;
		case 's':
			o->send = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			o->receive = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			o->ping = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			o->echo = true;
			break;
		case 'd':
			o->delay_us = strtoul(optarg, NULL, 0);
			break;
		default:
			return -EINVAL;
		}
	}
	return optind == argc && o->attach.region ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct ledger none = { 0 }, *l = &none;
	struct options o = { 0 };
	struct kring_error error;
	struct kring_host *host;
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (parse(&o, argc, argv)) {
		fputs(help, stderr);
		return 2;
	}
	if (o.ledger) {
		l = ledger_open(o.ledger);
		if (!l) {
			perror(o.ledger);
			return 1;
		}
	}
	err = kring_host_attach(&host, &o.attach, &error);
	if (err) {
		fprintf(stderr, "traffic-host: %s\n", error.text);
		return 1;
	}
	take_over(host, l);
	if (o.echo)
		err = echo(host);
	else if (o.ping)
		err = ping(host, o.ping);
	else
		err = exchange(host, l, &o);
	if (err)
		printf("host: error: %s%s%s\n", strerror(-err), kring_host_fault(host) ? ": " : "",
		       kring_host_fault(host) ? kring_host_fault(host) : "");
	report(host, l);
	kring_host_detach(host);
	return err || l->tally.lost || l->tally.duplicated || l->tally.corrupt;
}
