// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conversation.h"

#define COUNT_BEFORE	20	/* ms between records until "go", and from then on */
#define COUNT_AFTER	2
#define SLOW_READ	16384	/* bytes at a time, of who is slow */
#define SLOW_PAUSE	50	/* ms */
#define REDIAL		20	/* ms */
#define REDIAL_COMMAND	200
#define HELLO_AGAIN	5000	/* ms without an answer */
#define SILENCE		20000	/* ms until something must be wrong */

int64_t conversation_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static bool going(struct conversation *c)
{
	if (!c->going)
		c->going = !access(c->go, F_OK);
	return c->going;
}

static uint64_t limit(struct conversation *c)
{
	uint64_t end;

	if (!c->counting)
		return c->total;
	if (!c->host)
		return c->ledger->have / COUNT_RECORD * COUNT_RECORD;
	end = going(c) ? c->total : c->total - COUNT_RECORD;
	if (c->allowed < end && conversation_now() >= c->next_count) {
		c->allowed += COUNT_RECORD;
		c->next_count = conversation_now() + (c->going ? COUNT_AFTER : COUNT_BEFORE);
	}
	return c->allowed < c->total ? c->allowed : c->total;
}

static bool wants_write(struct conversation *c)
{
	return c->hellos_len || (c->greeted && c->position < limit(c));
}

static bool may_read(const struct conversation *c)
{
	return conversation_now() >= c->next_read;
}

static int failed(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -EPIPE;
}

static int write_hellos(struct conversation *c)
{
	ssize_t n = write(c->link.out, c->hellos, c->hellos_len);

	if (n <= 0)
		return failed(n);
	c->hellos_len -= n;
	memmove(c->hellos, c->hellos + n, c->hellos_len);
	return 0;
}

static int write_data(struct conversation *c)
{
	uint64_t end = limit(c), left;
	ssize_t n;

	if (c->out_at == c->out_len) {
		left = end - c->position;
		c->out_at = 0;
		c->out_len = left < sizeof(c->out) ? left : sizeof(c->out);
		content_get(&c->ours, c->position, c->out, c->out_len);
	}
	n = write(c->link.out, c->out + c->out_at, c->out_len - c->out_at);
	if (n <= 0)
		return failed(n);
	ledger_wrote(c->ledger, c->position, c->position + n);
	c->heard = conversation_now();
	c->position += n;
	c->out_at += n;
	return 0;
}

static int do_write(struct conversation *c)
{
	int ret = 0;

	if (c->hellos_len)
		ret = write_hellos(c);
	if (!ret && !c->hellos_len && c->greeted && c->position < limit(c))
		ret = write_data(c);
	return ret;
}

static int do_read(struct conversation *c)
{
	bool slow = !c->counting && c->ledger->have >= c->total / 4 && !going(c);
	uint8_t *buf;
	size_t room;
	ssize_t n;

	buf = reader_room(&c->reader, &room);
	if (slow && room > SLOW_READ)
		room = SLOW_READ;
	n = read(c->link.in, buf, room);
	if (!n && c->link.lasting) {
		link_poll(NULL, 0, REDIAL);
		return 0;
	}
	if (n <= 0)
		return failed(n);
	c->heard = conversation_now();
	if (slow)
		c->next_read = c->heard + SLOW_PAUSE;
	reader_take(&c->reader, n);
	return 0;
}

/* The connection is good for nothing more; bytes that were half written are lost with it. */
static void hang_up(struct conversation *c)
{
	if (c->greeted)
		c->ledger->breaks++;
	reader_cut(&c->reader);
	link_close(&c->link, false);
	c->greeted = false;
	c->asked = false;
	c->hellos_len = 0;
	c->out_at = 0;
	c->out_len = 0;
}

static int dial(struct conversation *c)
{
	int ret = link_open(&c->link);

	if (ret) {
		link_close(&c->link, false);
		link_poll(NULL, 0, REDIAL);
		return ret;
	}
	c->heard = conversation_now();
	c->next_read = 0;
	if (c->host)
		greeting_begin(c);
	return 0;
}

static bool waiting(const struct conversation *c)
{
	if (c->counting && c->position < c->total)
		return c->ledger->have < c->position;
	return c->ledger->have < c->total || c->peer_have < c->total;
}

/* The host's: what a program does where nothing moves for long. */
static int check_silence(struct conversation *c)
{
	int64_t time = conversation_now();

	if (!c->greeted && time - c->heard > SILENCE)
		return -ETIMEDOUT;
	if (!c->greeted && time - c->greeted_at > HELLO_AGAIN) {
		greeting_begin(c);
	} else if (c->greeted && time - c->heard > SILENCE && waiting(c)) {
		c->heard = time;
		c->asked = true;
		greeting_begin(c);
	}
	return 0;
}

static int next_timeout(const struct conversation *c)
{
	int64_t time = conversation_now(), wait = 1000;

	if (c->next_read > time && c->next_read - time < wait)
		wait = c->next_read - time;
	if (c->host && c->counting && c->greeted && c->next_count - time < wait)
		wait = c->next_count > time ? c->next_count - time : COUNT_BEFORE;
	return wait;
}

static int step(struct conversation *c)
{
	struct pollfd p[2] = {
		{ .fd = may_read(c) ? c->link.in : -1, .events = POLLIN },
		{ .fd = wants_write(c) ? c->link.out : -1, .events = POLLOUT },
	};
	int ret = 0;

	link_poll(p, 2, next_timeout(c));
	if (p[0].fd >= 0 && p[0].revents)
		ret = do_read(c);
	if (!ret && p[1].fd >= 0 && p[1].revents)
		ret = do_write(c);
	if (!ret && c->host)
		ret = check_silence(c);
	return ret;
}

static bool ended(const struct conversation *c)
{
	if (!c->host)
		return c->bye;
	return c->greeted && c->ledger->have >= c->total && c->peer_have >= c->total;
}

/* Whoever waits for an answer to the last word never knows: once, and it need not arrive. */
static void farewell(struct conversation *c)
{
	if (c->host) {
		c->hellos_len = 0;
		greeting_say(c, EPOCH_BYE);
		write_hellos(c);
	}
	link_close(&c->link, true);
	c->ledger->status = c->link.status;
	c->ledger->done = 1;
}

int conversation_run(struct conversation *c)
{
	int ret = 0;

	while (!ended(c)) {
		if (c->link.in < 0)
			ret = dial(c);
		if (c->link.in < 0)
			continue;
		ret = step(c);
		if (!ret)
			continue;
		hang_up(c);
		if (c->link.only)
			return ret;
		link_poll(NULL, 0, strcmp(*c->link.argv, "exec") ? REDIAL : REDIAL_COMMAND);
	}
	farewell(c);
	return 0;
}
