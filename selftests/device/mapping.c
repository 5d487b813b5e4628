// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Mappings of /dev/kring: rights, who has the cursors, frames without a system call. With a host
 * that sends each frame back.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "mapped.h"

#define DEVICE	"/dev/kring"

#define fails(call, error) (errno = 0, (call) == -1 && errno == (error))
#define refused(call, error) (errno = 0, (call) == MAP_FAILED && errno == (error))

static char frame[65536];

/* The pages of a ring: the producer's, the consumer's, the first and the last of its data. */
static void ring_parts(const struct kring_place *p, uint64_t offset[4])
{
	offset[0] = p->head;
	offset[1] = p->tail;
	offset[2] = p->data;
	offset[3] = p->data + p->size - PAGE;
}

static void test_rights(int mode, const char *name, const bool h2g[4], const bool g2h[4])
{
	uint64_t offset[9] = { 0 };
	bool write = true, read = true;
	int fd = must_open(DEVICE, mode), i;
	void *at;

	ring_parts(&layout.h2g, offset + 1);
	ring_parts(&layout.g2h, offset + 5);
	for (i = 0; i < 9; i++) {
		bool mine = i && (i < 5 ? h2g[i - 1] : g2h[i - 5]);

		if (mode == O_WRONLY) {
			expect(&read, refused(map(fd, RO, offset[i], PAGE), EACCES));
			continue;
		}
		at = map(fd, RO, offset[i], PAGE);
		expect(&read, at != MAP_FAILED);
		expect(&read, fails(mprotect(at, PAGE, RW), EACCES));
		munmap(at, PAGE);
		at = map(fd, RW, offset[i], PAGE);
		expect(&write, mine ? at != MAP_FAILED : at == MAP_FAILED && errno == EACCES);
		if (mine)
			munmap(at, PAGE);
	}
	ok(read, "%s: what may be read, and nothing becomes writable", name);
	ok(write, "%s: what may be written", name);
	must_close(fd);
}

static void test_refused(int fd)
{
	size_t h2g = 2 * PAGE + layout.h2g.size;

	ok(refused(mmap(NULL, PAGE, RO, MAP_PRIVATE, fd, 0), EINVAL), "private: EINVAL");
	ok(refused(map(fd, RO, layout.region_size, PAGE), EINVAL) &&
	   refused(map(fd, RO, layout.region_size - PAGE, 2 * PAGE), EINVAL),
	   "beyond the region: EINVAL");
	ok(refused(map(fd, RO | PROT_EXEC, 0, PAGE), EACCES), "executable: EACCES");
	ok(fails(mprotect(must_map(fd, RO, 0, PAGE), PAGE, RO | PROT_EXEC), EACCES),
	   "nor afterwards");
	ok(refused(map(fd, RW, layout.h2g.head, h2g), EACCES) &&
	   refused(map(fd, RW, layout.h2g.tail, 2 * PAGE), EACCES) &&
	   refused(map(fd, RW, layout.g2h.head, 2 * PAGE), EACCES),
	   "one's own part, and more: EACCES");
	ok(refused(mremap(must_map(fd, RO, 0, PAGE), PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT),
	   "it does not grow");
}

/* The first use decides, for each direction by itself. */
static void test_use(void)
{
	int fd = must_open(DEVICE, O_RDWR | O_NONBLOCK);

	ok(fails(read(fd, frame, sizeof(frame)), EAGAIN) &&
	   refused(map(fd, RW, layout.h2g.tail, PAGE), EBUSY), "read(), then mmap(): EBUSY");
	must_map(fd, RW, layout.g2h.head, PAGE);
	ok(fails(write(fd, frame, 16), EBUSY), "mmap(), then write(): EBUSY");
	ok(fails(ioctl(fd, KRING_IOC_RESET), EBUSY), "or a reset: EBUSY");
	must_close(fd);

	fd = must_open(DEVICE, O_RDWR | O_NONBLOCK);
	ok(fails(write(fd, frame, 0), EINVAL) &&
	   refused(map(fd, RW, layout.g2h.data, PAGE), EBUSY), "write(), then mmap(): EBUSY");
	must_map(fd, RW, layout.h2g.tail, PAGE);
	ok(fails(read(fd, frame, sizeof(frame)), EBUSY), "mmap(), then read(): EBUSY");
	ok(ioctl(fd, KRING_IOC_KICK) == 0, "a kick is always possible");
	must_close(fd);
}

static int revents(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	must(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static bool wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 20000) == 1 && p.revents == events;
}

static bool send_mapped(int fd, struct kring_producer *p, uint32_t i, uint32_t len)
{
	struct kring_frame f;
	int err;

	while ((err = kring_reserve(p, len, &f)) == -EAGAIN)
		if (!kring_want_space(p) && !wait_for(fd, POLLOUT))
			return false;
	if (err)
		return false;
	kring_got_space(p);
	memset(f.payload, i, len);
	kring_commit(p, &f);
	return !kring_submit(p) || !ioctl(fd, KRING_IOC_KICK);
}

static bool receive_mapped(int fd, struct kring_consumer *c, uint32_t i, uint32_t len)
{
	struct kring_frame f;
	int err;

	while ((err = kring_peek(c, &f)) == -EAGAIN)
		if (!kring_want_data(c) && !wait_for(fd, POLLIN))
			return false;
	if (err)
		return false;
	kring_got_data(c);
	if (f.len != len || f.payload[0] != (uint8_t)i || f.payload[len - 1] != (uint8_t)i)
		return false;
	kring_advance(c, &f);
	return !kring_release(c) || !ioctl(fd, KRING_IOC_KICK);
}

static uint32_t length(uint32_t i)
{
	return 1 + i * 7919 % 60000;
}

/* Frames there and back, with some in flight; system calls to sleep and to wake alone. */
static void test_frames(int fd, const struct kring_ring *in, const struct kring_ring *out)
{
	uint32_t sent, received = 0;
	struct kring_consumer c;
	struct kring_producer p;
	bool good = true;

	must(!kring_consumer_attach(&c, in) && !kring_producer_attach(&p, out));
	for (sent = 0; sent < 2000 && good; sent++) {
		good = send_mapped(fd, &p, sent, length(sent));
		for (; good && sent - received >= 4; received++)
			good = receive_mapped(fd, &c, received, length(received));
	}
	for (; good && received < sent; received++)
		good = receive_mapped(fd, &c, received, length(received));
	ok(good && received == 2000, "2000 frames there and back through the mapping");
}

/* poll() believes the words in the region, which the program may spoil as it likes. */
static void test_poll(int fd, struct kring_ring *in, struct kring_ring *out)
{
	uint32_t tail = le32_to_cpu(*in->tail), head = le32_to_cpu(*out->head);

	ok(revents(fd) == POLLOUT, "room, and no frame");
	*out->want_space = cpu_to_le32(out->size + 1);
	ok(revents(fd) == 0, "not the room that is asked for");
	*out->want_space = cpu_to_le32(out->size);
	ok(revents(fd) == POLLOUT, "that room");
	*out->want_space = 0;
	*in->tail = cpu_to_le32(tail - 8);
	ok(revents(fd) == (POLLIN | POLLOUT), "a tail before the head: a frame");
	*in->tail = cpu_to_le32(tail + 8);
	ok(revents(fd) == (POLLOUT | POLLERR), "a tail beyond the head: POLLERR");
	*in->tail = cpu_to_le32(tail);
	*out->head = cpu_to_le32(head + out->size);
	ok(revents(fd) == 0, "full");
	*out->head = cpu_to_le32(head + out->size + 8);
	ok(revents(fd) == POLLERR, "more than full: POLLERR");
	*out->head = cpu_to_le32(head);
	ok(revents(fd) == POLLOUT, "mended, it is as before");
}

/* The next file goes on where the region says. */
static void test_next(void)
{
	char back[16] = "";
	int fd = must_open(DEVICE, O_RDWR);

	ok(write(fd, "as ever", 8) == 8 && read(fd, back, sizeof(back)) == 8 &&
	   !strcmp(back, "as ever"), "the next file goes on by read() and write()");
	must_close(fd);
}

/* As a program does that is killed, or wrong. */
static void move_tail(int32_t by)
{
	int fd = must_open(DEVICE, O_RDWR);
	__le32 *tail = must_map(fd, RW, layout.h2g.tail, PAGE);

	*tail = cpu_to_le32(le32_to_cpu(*tail) + by);
	must_close(fd);
}

static void test_nonsense(void)
{
	char back[16] = "";
	int fd;

	move_tail(64);
	fd = must_open(DEVICE, O_RDWR);
	ok(fails(read(fd, back, sizeof(back)), EBADMSG), "nonsense is poison for the next file");
	ok(write(fd, "g2h", 4) == 4, "but not in the other direction");
	must_close(fd);

	usleep(500000);
	move_tail(-64);
	fd = must_open(DEVICE, O_RDWR);
	ok(read(fd, back, sizeof(back)) == 4 && !strcmp(back, "g2h"), "mended, it goes on");
	must_close(fd);
}

int main(void)
{
	static const bool none[4], consumer[4] = { [1] = true };
	static const bool producer[4] = { true, false, true, true };
	struct kring_ring in, out;
	int fd;

	fd = must_open(DEVICE, O_RDWR);
	map_all(fd);
	must_close(fd);
	test_rights(O_RDONLY, "read-only", none, none);
	test_rights(O_WRONLY, "write-only", none, none);
	test_rights(O_RDWR, "both", consumer, producer);

	fd = must_open(DEVICE, O_RDWR);
	test_refused(fd);
	must_close(fd);
	test_use();

	fd = must_open(DEVICE, O_RDWR);
	kring_layout_rings(&layout, map_all(fd), &in, &out);
	own_h2g(fd, &in);
	own_g2h(fd, &out);
	test_frames(fd, &in, &out);
	test_poll(fd, &in, &out);
	must_close(fd);
	test_next();
	test_nonsense();
	return tap_done();
}
