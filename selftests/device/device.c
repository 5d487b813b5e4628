// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * lib/device.h over both ends of a region of kring_loop.ko, mapped and copied, each with each.
 *
 *	device GUEST HOST
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <device.h>

#include <tap.h>

#define BOTH	(KRING_DEVICE_READ | KRING_DEVICE_WRITE)
#define FRAMES	3000
#define PAGE	4096

static const char *guest_path, *host_path;

static struct kring_device *must_open(const char *path, unsigned int flags)
{
	struct kring_device *dev;
	struct kring_error err = { "" };

	if (kring_device_open(path, flags, &dev, &err)) {
		printf("# %s\n", err.text);
		exit(1);
	}
	return dev;
}

/* Most are small, some are the largest there may be. */
static size_t frame_len(unsigned int i, size_t max)
{
	if (i % 100 == 99)
		return max;
	return 1 + i * 2654435761U % (i % 7 ? 2000 : max);
}

static bool send_frame(struct kring_device *dev, unsigned int i, size_t len)
{
	void *payload;
	int code;

	while ((code = kring_device_reserve(dev, len, &payload)) == -EAGAIN)
		if (kring_device_wait(dev, POLLOUT, 20000) != POLLOUT)
			return false;
	if (code)
		return false;
	memset(payload, i, len);
	while ((code = kring_device_commit(dev, len)) == -EAGAIN)
		if (kring_device_wait(dev, POLLOUT, 20000) != POLLOUT)
			return false;
	return !code;
}

static bool is_filled(const unsigned char *at, size_t len, unsigned int i)
{
	return at[0] == (unsigned char)i && !memcmp(at, at + 1, len - 1);
}

static bool receive_frame(struct kring_device *dev, unsigned int i, size_t len)
{
	const void *payload;
	size_t got;
	int code;

	while ((code = kring_device_peek(dev, &payload, &got)) == -EAGAIN)
		if (kring_device_wait(dev, POLLIN, 20000) != POLLIN)
			return false;
	return !code && got == len && is_filled(payload, len, i) && !kring_device_advance(dev);
}

/* The other end, a process of its own: what comes in goes out again. */
static int echo(unsigned int flags)
{
	struct kring_device *dev = must_open(host_path, flags);
	struct kring_info info;
	unsigned int i;

	must(!kring_device_info(dev, &info));
	for (i = 0; i < FRAMES; i++) {
		size_t len = frame_len(i, info.g2h_frame_max);

		if (!receive_frame(dev, i, len) || !send_frame(dev, i, len))
			return 1;
	}
	kring_device_close(dev);
	return 0;
}

/* Sends ahead of what it receives, so that both rings fill up, and both ends sleep. */
static void test_echo(unsigned int guest, unsigned int host)
{
	struct kring_device *dev;
	unsigned int sent = 0, i;
	struct kring_info info;
	bool good = true;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		_exit(echo(BOTH | host));
	dev = must_open(guest_path, BOTH | guest);
	must(!kring_device_info(dev, &info));
	for (i = 0; good && i < FRAMES; i++) {
		for (; good && sent < FRAMES && sent <= i + 3; sent++)
			good = send_frame(dev, sent, frame_len(sent, info.g2h_frame_max));
		good = good && receive_frame(dev, i, frame_len(i, info.g2h_frame_max));
	}
	must(waitpid(pid, &status, 0) == pid);
	ok(good && !status, "%s guest, %s host: %u frames there and back, each as it was",
	   guest ? "copying" : "mapped", host ? "copying" : "mapped", i);
	ok(kring_device_mapped(dev) == !guest, "%s: and it is", guest ? "copying" : "mapped");
	kring_device_close(dev);
}

static void test_refused(unsigned int flags)
{
	const char *how = flags ? "copying" : "mapped";
	struct kring_device *other, *dev = must_open(guest_path, BOTH | flags);
	struct kring_error err;
	struct kring_info info;
	const void *in;
	void *out;
	size_t len;

	must(!kring_device_info(dev, &info));
	ok(kring_device_open(guest_path, KRING_DEVICE_READ, &other, &err) == -EBUSY,
	   "%s: a second file is refused: %s", how, err.text);
	ok(kring_device_peek(dev, &in, &len) == -EAGAIN, "%s: nothing there: EAGAIN", how);
	ok(kring_device_advance(dev) == -EINVAL, "%s: advance without peek: EINVAL", how);
	ok(kring_device_commit(dev, 1) == -EINVAL, "%s: commit without reserve: EINVAL", how);
	ok(kring_device_reserve(dev, 0, &out) == -EINVAL, "%s: an empty frame: EINVAL", how);
	ok(kring_device_reserve(dev, info.g2h_frame_max + 1, &out) == -EMSGSIZE,
	   "%s: a frame too large for ever: EMSGSIZE", how);
	ok(!kring_device_reserve(dev, 10, &out) && kring_device_commit(dev, 11) == -EINVAL,
	   "%s: more than was reserved: EINVAL", how);
	kring_device_close(dev);
	dev = must_open(guest_path, KRING_DEVICE_READ | flags);
	ok(kring_device_reserve(dev, 1, &out) == -EBADF, "%s: not open for writing: EBADF", how);
	ok(!kring_device_mapped(dev), "%s: open for reading alone is not mapped", how);
	kring_device_close(dev);
}

static void test_no_kring(void)
{
	struct kring_device *dev;
	struct kring_error err;

	ok(kring_device_open("/dev/null", BOTH, &dev, &err) == -EINVAL, "%s", err.text);
	ok(kring_device_open("/dev/nothing", BOTH, &dev, &err) == -ENOENT, "%s", err.text);
	ok(kring_device_open(guest_path, 0, &dev, &err) == -EINVAL, "%s", err.text);
}

static void test_short(unsigned int flags)
{
	struct kring_device *guest = must_open(guest_path, BOTH | flags);
	struct kring_device *host = must_open(host_path, BOTH);
	const void *in, *again;
	size_t len;
	void *out;

	must(!kring_device_reserve(guest, 1000, &out));
	memcpy(out, "short", 5);
	ok(!kring_device_commit(guest, 5), "less than was reserved is sent");
	ok(!kring_device_peek(host, &in, &len) && len == 5 && !memcmp(in, "short", 5),
	   "and no more arrives");
	ok(!kring_device_peek(host, &again, &len) && again == in && len == 5,
	   "a frame stays until it is advanced over");
	ok(!kring_device_advance(host) && kring_device_peek(host, &in, &len) == -EAGAIN,
	   "then it is gone");
	kring_device_close(guest);
	kring_device_close(host);
}

/* SECCOMP_MODE_STRICT kills at any system call but these two, which a mapping refuses, and exit. */
static void converse_silently(struct kring_device *dev)
{
	const void *in;
	size_t len;
	void *out;
	int i;

	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	for (i = 0; i < 100; i++) {
		if (kring_device_peek(dev, &in, &len) || len != 64 || !is_filled(in, len, i) ||
		    kring_device_advance(dev) || kring_device_reserve(dev, len, &out))
			syscall(SYS_exit, 1);
		memset(out, i, len);
		if (kring_device_commit(dev, len))
			syscall(SYS_exit, 2);
	}
	syscall(SYS_exit, 0);
}

static void test_silent(void)
{
	struct kring_device *host = must_open(host_path, BOTH);
	bool good = true;
	int i, status;
	pid_t pid;

	if (prctl(PR_GET_SECCOMP) < 0) {
		ok(true, "without a system call # SKIP no seccomp in this kernel");
		kring_device_close(host);
		return;
	}
	for (i = 0; i < 100; i++)
		good = good && send_frame(host, i, 64);
	fflush(stdout);
	pid = fork();
	must(pid >= 0);
	if (!pid)
		converse_silently(must_open(guest_path, BOTH));
	must(waitpid(pid, &status, 0) == pid);
	ok(good && !status, "100 frames each way without a system call (status %x)", status);
	for (i = 0; i < 100; i++)
		good = good && receive_frame(host, i, 64);
	ok(good, "and they have arrived");
	kring_device_close(host);
}

/* What a hostile host, or a restore, does to the region. */
struct hand {
	int fd;
	struct kring_header *header;
	struct kring_producer_page *h2g;
};

static void hand_open(struct hand *hand)
{
	uint64_t at;

	hand->fd = open(host_path, O_RDWR | O_CLOEXEC);
	must(hand->fd >= 0);
	hand->header = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, hand->fd, 0);
	must(hand->header != MAP_FAILED);
	at = le64_to_cpu(hand->header->h2g.offset);
	hand->h2g = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, hand->fd, at);
	must(hand->h2g != MAP_FAILED);
}

static void hand_close(struct hand *hand)
{
	munmap(hand->header, PAGE);
	munmap(hand->h2g, PAGE);
	close(hand->fd);
}

static void test_poison(unsigned int flags)
{
	const char *how = flags ? "copying" : "mapped";
	struct kring_device *dev;
	struct hand hand;
	const void *in;
	__le32 head;
	size_t len;

	hand_open(&hand);
	dev = must_open(guest_path, BOTH | flags);
	head = hand.h2g->head;
	hand.h2g->head = cpu_to_le32(le32_to_cpu(head) + 0x40000000);
	ok(kring_device_peek(dev, &in, &len) == -EBADMSG,
	   "%s: nonsense from the host: EBADMSG", how);
	ok(kring_device_wait(dev, POLLIN, 0) & (POLLERR | POLLIN), "%s: poll says so", how);
	ok(send_frame(dev, 7, 64), "%s: the other direction works", how);
	ok(kring_device_reset(dev) == -EBADMSG, "%s: reset, and nonsense still: EBADMSG", how);
	hand.h2g->head = head;
	ok(!kring_device_reset(dev) && kring_device_peek(dev, &in, &len) == -EAGAIN,
	   "%s: reset: it works again", how);
	kring_device_close(dev);
	hand_close(&hand);
	dev = must_open(host_path, BOTH);
	ok(receive_frame(dev, 7, 64), "%s: what was sent meanwhile has arrived", how);
	kring_device_close(dev);
}

static void test_generation(unsigned int flags)
{
	const char *how = flags ? "copying" : "mapped";
	struct kring_device *dev;
	struct kring_info info;
	struct hand hand;

	hand_open(&hand);
	dev = must_open(guest_path, BOTH | flags);
	ok(kring_device_wait(dev, POLLPRI, 0) == 0, "%s: the generation as it was", how);
	hand.header->generation = cpu_to_le64(le64_to_cpu(hand.header->generation) + 1);
	ok(kring_device_wait(dev, POLLPRI, 20000) == POLLPRI, "%s: a new one: POLLPRI", how);
	ok(!kring_device_info(dev, &info) &&
	   info.generation == le64_to_cpu(hand.header->generation), "%s: which is told", how);
	ok(kring_device_wait(dev, POLLPRI, 0) == 0, "%s: and known then", how);
	kring_device_close(dev);
	hand_close(&hand);
}

int main(int argc, char **argv)
{
	unsigned int flags;

	if (argc != 3) {
		fprintf(stderr, "usage: device GUEST HOST\n");
		return 2;
	}
	guest_path = argv[1];
	host_path = argv[2];
	test_no_kring();
	for (flags = 0; flags <= KRING_DEVICE_COPY; flags += KRING_DEVICE_COPY) {
		test_refused(flags);
		test_short(flags);
		test_poison(flags);
		test_generation(flags);
		test_echo(flags, 0);
		test_echo(flags, KRING_DEVICE_COPY);
	}
	test_silent();
	return tap_done();
}
