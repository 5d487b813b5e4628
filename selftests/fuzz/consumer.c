// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The consuming side against a producer that writes anything at any time.
 *
 * Input: format and size, cursor, the data, the peer's writes, then a verb a byte
 * (low bits; the others: a write of the peer before it).
 */
#include "fuzz.h"

static struct kring_ring ring;
static struct kring_consumer c;

/* What is known of the private state, whatever the peer did. */
static void check_state(void)
{
	require(c.fault || c.head - c.tail <= ring.size);
	require(c.fault || !(c.tail & (ring.align - 1)));
	require(!memcmp(&c.ring, &ring, sizeof(ring)));
}

static int peek(struct kring_frame *f)
{
	bool poisoned = c.fault;
	uint32_t tail = c.tail, size;
	int err = kring_peek(&c, f);
	uint8_t *copy;

	require(err == 0 || err == -EAGAIN || err == -EBADMSG);
	require((err == -EBADMSG) == !!c.fault);
	require(!poisoned || err == -EBADMSG);
	check_state();
	if (err)
		return err;

	/* All of the frame is in the data, and between the cursors. */
	require(f->len && f->len <= ring.max);
	require(f->payload >= ring.data + ring.header && f->payload <= ring.data + ring.size);
	require(f->len <= (size_t)(ring.data + ring.size - f->payload));
	require((uint32_t)(f->payload - ring.data) - ring.header ==
		(f->cursor & (ring.size - 1)));
	size = ring.header + f->len;
	require(f->cursor - tail <= c.head - tail && size <= c.head - f->cursor);

	copy = part(f->len);
	memcpy(copy, f->payload, f->len);
	look_at(copy, f->len);
	free(copy);
	return 0;
}

static void advance(const struct kring_frame *f)
{
	uint32_t tail = c.tail;

	kring_advance(&c, f);
	require(c.tail - tail >= ring.header + f->len && c.tail - tail <= ring.size);
	check_state();
}

static void verb(uint8_t what)
{
	struct kring_frame f;
	unsigned int i;

	peer_turn(what);
	switch (what % 8) {
	case 0:
		peek(&f);
		break;
	case 1:
		if (!peek(&f))
			advance(&f);
		break;
	case 2:		/* a batch; the peer may give more than that for ever */
		for (i = 0; i < 32 && !peek(&f); i++)
			advance(&f);
		break;
	case 3:
		kring_release(&c);
		require(!kring_unreleased(&c));
		require(c.released == c.tail);
		break;
	case 4:
		if (!kring_want_data(&c))
			require(!c.fault && c.head == c.tail);
		break;
	case 5:
		kring_got_data(&c);
		break;
	case 6:
		require(!kring_readable(&c) || c.fault || c.head != c.tail);
		break;
	case 7:
		require((kring_consumer_check(&c) == -EBADMSG) == !!c.fault);
		/* Somebody takes over, and may well be refused. */
		if (what & 0x80)
			require(!kring_consumer_attach(&c, &ring) == !c.fault);
		break;
	}
	check_state();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	ring_make(&ring, &in);
	require(!kring_consumer_attach(&c, &ring));
	/* Half of it is enough: the other half comes from the peer. */
	input_bytes(&in, ring.data, ring.size / 2);
	peer.ring = &ring;
	peer.cursor = ring.head;
	peer.other = ring.tail;
	peer.want = ring.want_space;
	peer.base = c.tail;
	peer_start(&in);
	while (in.left)
		verb(input_u8(&in));
	peer_end();
	ring_free(&ring);
	return 0;
}
