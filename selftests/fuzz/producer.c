// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The producing side against a consumer that writes anything at any time.
 *
 * Input: format and size, cursor, the peer's writes, then verbs, each a byte, that of
 * reserve followed by a length and the length that is committed.
 */
#include "fuzz.h"

static struct kring_ring ring;
static struct kring_producer p;

/* What is known of the private state, whatever the peer did. */
static void check_state(void)
{
	require(p.fault || p.head - p.tail <= ring.size);
	require(!(p.head & (ring.align - 1)) || p.fault);
	require(p.want <= ring.size);
	require(!memcmp(&p.ring, &ring, sizeof(ring)));
}

static int reserve(uint32_t len, struct kring_frame *f)
{
	bool poisoned = p.fault;
	int err = kring_reserve(&p, len, f);

	require((err == -EBADMSG) == !!p.fault);
	require(!poisoned || err == -EBADMSG);
	check_state();
	if (p.fault)
		return err;
	require((err == -EINVAL) == !len);
	require((err == -EMSGSIZE) == (len > ring.send_max));
	if (err == -EAGAIN)
		/* An empty ring takes it, wherever that is. */
		require(p.head != p.tail && p.want >= ring.header + len);
	if (err)
		return err;

	/* All of the frame is in the data, and in what is free. */
	require(f->len == len);
	require(f->payload >= ring.data + ring.header && f->payload <= ring.data + ring.size);
	require(len <= (size_t)(ring.data + ring.size - f->payload));
	require(f->cursor - p.head <= ring.size);
	require(f->cursor + ring.header + len - p.tail <= ring.size);
	return 0;
}

static void send(uint32_t len, uint32_t shorter)
{
	struct kring_frame f;
	uint32_t head = p.head;

	if (reserve(len, &f))
		return;
	memset(f.payload, 0xff, len);
	if (shorter && shorter < len)
		f.len = shorter;
	kring_commit(&p, &f);
	require(p.head - head >= ring.header + f.len);
	check_state();
}

static void verb(uint8_t what, struct input *in)
{
	struct kring_frame f;
	uint32_t len;

	peer_turn(what);
	switch (what % 8) {
	case 0:
		len = input_u16(in);
		send(what & 0x80 ? len << 16 | len : len % ring.size, input_u8(in));
		break;
	case 1:		/* a batch, until there is no room, or at the peer's pleasure */
		len = 1 + input_u8(in) % (ring.send_max);
		send(len, 0);
		send(len, 0);
		send(len, 0);
		break;
	case 2:
		reserve(input_u8(in), &f);
		break;
	case 3:
		kring_submit(&p);
		require(!kring_unsubmitted(&p));
		require(p.submitted == p.head);
		break;
	case 4:
		kring_want_space(&p);
		break;
	case 5:
		kring_got_space(&p);
		break;
	case 6:
		kring_writable(&p);
		break;
	case 7:
		require((kring_producer_check(&p) == -EBADMSG) == !!p.fault);
		/* Somebody takes over, and may well be refused. */
		if (what & 0x80)
			require(!kring_producer_attach(&p, &ring) == !p.fault);
		break;
	}
	check_state();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	ring_make(&ring, &in);
	require(!kring_producer_attach(&p, &ring));
	peer.ring = &ring;
	peer.cursor = ring.tail;
	peer.other = ring.head;
	peer.want = ring.want_data;
	peer.base = p.head;
	peer_start(&in);
	while (in.left)
		verb(input_u8(&in), &in);
	peer_end();
	ring_free(&ring);
	return 0;
}
