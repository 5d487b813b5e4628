// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What two ends agree on when they begin, or begin anew, and how they notice that they must.
 *
 *	host: hello, I have so much		and stops sending
 *	guest: hello, I have so much		and stops sending
 *	host: hello, I have so much by now	and goes on from what the guest has
 *	guest:					goes on from what the host has
 *
 * Hellos are in line with the data, so behind the other end's nothing old can be on its way
 * any more, and nothing is sent again that arrives all the same.
 */
#include "conversation.h"

void greeting_say(struct conversation *c, uint32_t epoch)
{
	struct hello hello = { .epoch = epoch, .have = c->ledger->have };

	if (c->hellos_len + HELLO_SIZE > sizeof(c->hellos))
		return;
	hello_encode(&hello, c->hellos + c->hellos_len);
	c->hellos_len += HELLO_SIZE;
}

static void stop_data(struct conversation *c)
{
	c->greeted = false;
	c->out_len = 0;
	c->out_at = 0;
}

void greeting_begin(struct conversation *c)
{
	c->epoch++;
	c->greeted_at = conversation_now();
	stop_data(c);
	greeting_say(c, c->epoch);
}

/* What is received from now on is what is missing here, and so with the other end. */
static void begin_data(struct conversation *c, const struct hello *hello)
{
	c->greeted = true;
	c->asked = false;
	c->position = hello->have;
	c->peer_have = hello->have;
	if (c->allowed < hello->have)
		c->allowed = hello->have;
	reader_expect(&c->reader, c->said);
}

static void host_hello(struct conversation *c, const struct hello *hello)
{
	if (hello->epoch == EPOCH_RESYNC && c->greeted) {
		c->asked = true;
		greeting_begin(c);
	} else if (hello->epoch == c->epoch && !c->greeted) {
		/* On a connection that was a conversation's already it is no greeting. */
		if (c->asked)
			c->ledger->resyncs++;
		else
			c->ledger->greetings++;
		c->said = c->ledger->have;
		greeting_say(c, c->epoch);
		begin_data(c, hello);
	} else if (hello->epoch == c->epoch) {
		c->peer_have = hello->have;
	}
}

static void guest_hello(struct conversation *c, const struct hello *hello)
{
	if (hello->epoch == EPOCH_BYE) {
		c->bye = true;
	} else if (hello->epoch > c->epoch) {
		c->epoch = hello->epoch;
		c->ledger->epoch = c->epoch;
		c->said = c->ledger->have;
		stop_data(c);
		greeting_say(c, c->epoch);
	} else if (hello->epoch == c->epoch && !c->greeted) {
		begin_data(c, hello);
	}
}

static void on_hello(void *owner, const struct hello *hello)
{
	struct conversation *c = owner;

	if (c->host)
		host_hello(c, hello);
	else
		guest_hello(c, hello);
}

static void on_data(void *owner, uint64_t from, uint64_t to)
{
	struct conversation *c = owner;
	uint64_t before = c->ledger->have;

	ledger_got(c->ledger, from, to);
	if (!c->host && before < c->total && c->ledger->have >= c->total)
		greeting_say(c, c->epoch);
	if (from <= before || c->asked || !c->greeted)
		return;
	/* Some bytes are missing in between. */
	c->asked = true;
	if (c->host)
		greeting_begin(c);
	else
		greeting_say(c, EPOCH_RESYNC);
}

static void on_unknown(void *owner, uint64_t count)
{
	struct conversation *c = owner;

	c->ledger->unknown += count;
}

static const struct reader_ops reader_ops = { on_data, on_hello, on_unknown };

void conversation_init(struct conversation *c)
{
	size_t size = c->counting ? COUNT_RECORD : BULK_RECORD;

	content_init(&c->ours, c->host ? 1 : 2, size);
	content_init(&c->theirs, c->host ? 2 : 1, size);
	c->reader.content = &c->theirs;
	c->reader.ops = &reader_ops;
	c->reader.owner = c;
	c->reader.position = c->ledger->have;
	c->epoch = c->ledger->epoch;
}
