// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Each error that kring(4) lists, by its own name: call_ERROR.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include "../kselftest_harness.h"
#include "ends.h"

/* An address where nothing is. */
static void *volatile nowhere = (void *)8;

#define EXPECT_ERROR(error, call) do {		\
	errno = 0;				\
	EXPECT_EQ(-1, (long)(call));		\
	EXPECT_EQ(error, errno);		\
} while (0)

FIXTURE(errors) {
	struct ends ends;
};

FIXTURE_SETUP(errors)
{
	ASSERT_TRUE(ends_open(&self->ends, 0));
}

FIXTURE_TEARDOWN(errors)
{
	ends_close(&self->ends);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A signal every 50 ms, which no call is restarted after. */
static void interrupt(bool on)
{
	struct itimerval timer = { { 0, on ? 50000 : 0 }, { 0, on ? 50000 : 0 } };
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

TEST_F(errors, open_EBUSY)
{
	EXPECT_ERROR(EBUSY, open(self->ends.loop.guest, O_RDONLY));
	EXPECT_ERROR(EBUSY, open(self->ends.loop.guest, O_WRONLY));
}

/* Its node in /dev goes, too; another one is as good. */
TEST_F(errors, open_ENXIO)
{
	char path[] = "/tmp/kring-node-XXXXXX";
	struct stat st;

	ASSERT_EQ(0, stat(self->ends.loop.guest, &st));
	close(mkstemp(path));
	unlink(path);
	ASSERT_EQ(0, mknod(path, S_IFCHR | 0600, st.st_rdev));
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENXIO, open(path, O_RDWR));
	ends_plug(&self->ends);
	unlink(path);
}

TEST_F(errors, read_EAGAIN)
{
	EXPECT_ERROR(EAGAIN, read(self->ends.guest, self->ends.frame, 1));
}

TEST_F(errors, read_EBADF)
{
	int fd;

	close(self->ends.guest);
	fd = open(self->ends.loop.guest, O_WRONLY | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_ERROR(EBADF, read(fd, self->ends.frame, 1));
	close(fd);
	self->ends.guest = open(self->ends.loop.guest, O_RDWR | O_NONBLOCK);
}

TEST_F(errors, read_EBADMSG)
{
	uint64_t head = self->ends.layout.h2g.head;
	uint32_t was = ends_corrupt(&self->ends, head, 0x7fffffff);

	EXPECT_ERROR(EBADMSG, read(self->ends.guest, self->ends.frame, 1));
	ends_corrupt(&self->ends, head, was);
	EXPECT_EQ(0, ioctl(self->ends.guest, KRING_IOC_RESET));
}

TEST_F(errors, read_EBUSY)
{
	void *at = mmap(NULL, self->ends.layout.granule, PROT_READ | PROT_WRITE, MAP_SHARED,
			self->ends.guest, self->ends.layout.h2g.tail);

	ASSERT_NE(MAP_FAILED, at);
	EXPECT_ERROR(EBUSY, read(self->ends.guest, self->ends.frame, 1));
	munmap(at, self->ends.layout.granule);
}

TEST_F(errors, read_EFAULT)
{
	ASSERT_EQ(5, write(self->ends.host, "frame", 5));
	EXPECT_ERROR(EFAULT, read(self->ends.guest, nowhere, 100));
	EXPECT_EQ(5, read(self->ends.guest, self->ends.frame, 100));
	EXPECT_EQ(0, memcmp(self->ends.frame, "frame", 5));
}

TEST_F(errors, read_EINTR)
{
	ends_block(self->ends.guest, true);
	interrupt(true);
	EXPECT_ERROR(EINTR, read(self->ends.guest, self->ends.frame, 1));
	interrupt(false);
	ends_block(self->ends.guest, false);
}

TEST_F(errors, read_EMSGSIZE)
{
	ASSERT_EQ(5, write(self->ends.host, "frame", 5));
	EXPECT_ERROR(EMSGSIZE, read(self->ends.guest, self->ends.frame, 4));
	EXPECT_EQ(5, read(self->ends.guest, self->ends.frame, 5));
}

TEST_F(errors, read_ENODEV)
{
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, read(self->ends.guest, self->ends.frame, 1));
	ends_plug(&self->ends);
}

TEST_F(errors, write_EAGAIN)
{
	int frames = 0;

	while (write(self->ends.guest, self->ends.frame, 1000) == 1000)
		frames++;
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LT(100, frames);
}

TEST_F(errors, write_EBADF)
{
	int fd;

	close(self->ends.guest);
	fd = open(self->ends.loop.guest, O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, fd);
	EXPECT_ERROR(EBADF, write(fd, self->ends.frame, 1));
	close(fd);
	self->ends.guest = open(self->ends.loop.guest, O_RDWR | O_NONBLOCK);
}

TEST_F(errors, write_EBADMSG)
{
	uint64_t tail = self->ends.layout.g2h.tail;
	uint32_t was = ends_corrupt(&self->ends, tail, 0x7fffffff);

	/* The tail is looked at when there seems to be no room. */
	while (write(self->ends.guest, self->ends.frame, self->ends.info.g2h_frame_max) > 0)
		;
	EXPECT_EQ(EBADMSG, errno);
	ends_corrupt(&self->ends, tail, was);
	EXPECT_EQ(0, ioctl(self->ends.guest, KRING_IOC_RESET));
}

TEST_F(errors, write_EBUSY)
{
	void *at = mmap(NULL, self->ends.layout.granule, PROT_READ | PROT_WRITE, MAP_SHARED,
			self->ends.guest, self->ends.layout.g2h.head);

	ASSERT_NE(MAP_FAILED, at);
	EXPECT_ERROR(EBUSY, write(self->ends.guest, self->ends.frame, 1));
	munmap(at, self->ends.layout.granule);
}

TEST_F(errors, write_EFAULT)
{
	EXPECT_ERROR(EFAULT, write(self->ends.guest, nowhere, 100));
	EXPECT_ERROR(EAGAIN, read(self->ends.host, self->ends.frame, 100));
}

TEST_F(errors, write_EINTR)
{
	while (write(self->ends.guest, self->ends.frame, 1000) == 1000)
		;
	ends_block(self->ends.guest, true);
	interrupt(true);
	EXPECT_ERROR(EINTR, write(self->ends.guest, self->ends.frame, 1000));
	interrupt(false);
	ends_block(self->ends.guest, false);
}

TEST_F(errors, write_EINVAL)
{
	EXPECT_ERROR(EINVAL, write(self->ends.guest, self->ends.frame, 0));
}

TEST_F(errors, write_EMSGSIZE)
{
	size_t max = self->ends.info.g2h_frame_max;

	EXPECT_ERROR(EMSGSIZE, write(self->ends.guest, self->ends.frame, max + 1));
	EXPECT_EQ(max, write(self->ends.guest, self->ends.frame, max));
}

TEST_F(errors, write_ENODEV)
{
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, write(self->ends.guest, self->ends.frame, 1));
	ends_plug(&self->ends);
}

TEST_F(errors, mmap_EACCES)
{
	size_t size = self->ends.layout.granule;
	int rw = PROT_READ | PROT_WRITE;

	EXPECT_ERROR(EACCES, mmap(NULL, size, rw, MAP_SHARED, self->ends.guest, 0));
	EXPECT_ERROR(EACCES, mmap(NULL, size, rw, MAP_SHARED, self->ends.guest,
				  self->ends.layout.h2g.head));
	EXPECT_ERROR(EACCES, mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED,
				  self->ends.guest, 0));
}

TEST_F(errors, mmap_EBUSY)
{
	EXPECT_ERROR(EAGAIN, read(self->ends.guest, self->ends.frame, 1));
	EXPECT_ERROR(EBUSY, mmap(NULL, self->ends.layout.granule, PROT_READ | PROT_WRITE,
				 MAP_SHARED, self->ends.guest, self->ends.layout.h2g.tail));
}

TEST_F(errors, mmap_EINVAL)
{
	size_t size = self->ends.layout.granule;

	EXPECT_ERROR(EINVAL, mmap(NULL, size, PROT_READ, MAP_PRIVATE, self->ends.guest, 0));
	EXPECT_ERROR(EINVAL, mmap(NULL, size, PROT_READ, MAP_SHARED, self->ends.guest,
				  self->ends.layout.region_size));
}

TEST_F(errors, mmap_ENODEV)
{
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, mmap(NULL, self->ends.layout.granule, PROT_READ, MAP_SHARED,
				  self->ends.guest, 0));
	ends_plug(&self->ends);
}

TEST_F(errors, KRING_IOC_INFO_EFAULT)
{
	EXPECT_ERROR(EFAULT, ioctl(self->ends.guest, KRING_IOC_INFO, nowhere));
}

TEST_F(errors, KRING_IOC_INFO_ENODEV)
{
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, ioctl(self->ends.guest, KRING_IOC_INFO, &self->ends.info));
	ends_plug(&self->ends);
}

TEST_F(errors, KRING_IOC_KICK_ENODEV)
{
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, ioctl(self->ends.guest, KRING_IOC_KICK));
	ends_plug(&self->ends);
}

TEST_F(errors, KRING_IOC_RESET_EBADMSG)
{
	uint64_t head = self->ends.layout.h2g.head;
	uint32_t was = ends_corrupt(&self->ends, head, 0x7fffffff);

	EXPECT_ERROR(EBADMSG, ioctl(self->ends.guest, KRING_IOC_RESET));
	ends_corrupt(&self->ends, head, was);
	EXPECT_EQ(0, ioctl(self->ends.guest, KRING_IOC_RESET));
}

TEST_F(errors, KRING_IOC_RESET_EBUSY)
{
	void *at = mmap(NULL, self->ends.layout.granule, PROT_READ | PROT_WRITE, MAP_SHARED,
			self->ends.guest, self->ends.layout.h2g.tail);

	ASSERT_NE(MAP_FAILED, at);
	EXPECT_ERROR(EBUSY, ioctl(self->ends.guest, KRING_IOC_RESET));
	munmap(at, self->ends.layout.granule);
}

TEST_F(errors, KRING_IOC_RESET_ENODEV)
{
	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, ioctl(self->ends.guest, KRING_IOC_RESET));
	ends_plug(&self->ends);
}

TEST_F(errors, KRING_IOC_EVENTFDS_EBADF)
{
	struct kring_eventfds fds = { 998, 999 };

	EXPECT_ERROR(EBADF, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, &fds));
}

/* The loop's own. */
TEST_F(errors, KRING_IOC_EVENTFDS_EBUSY)
{
	struct kring_eventfds fds = { eventfd(0, 0), eventfd(0, 0) };

	EXPECT_ERROR(EBUSY, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, &fds));
	close(fds.in);
	close(fds.out);
}

TEST_F(errors, KRING_IOC_EVENTFDS_EFAULT)
{
	EXPECT_ERROR(EFAULT, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, nowhere));
}

TEST_F(errors, KRING_IOC_EVENTFDS_EINVAL)
{
	struct kring_eventfds fds = { self->ends.host, self->ends.host };
	int twice = eventfd(0, 0);

	EXPECT_ERROR(EINVAL, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, &fds));
	fds.in = twice;
	fds.out = twice;
	EXPECT_ERROR(EINVAL, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, &fds));
	close(twice);
}

TEST_F(errors, KRING_IOC_EVENTFDS_ENODEV)
{
	struct kring_eventfds fds = { eventfd(0, 0), eventfd(0, 0) };

	ends_unplug(&self->ends);
	EXPECT_ERROR(ENODEV, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, &fds));
	ends_plug(&self->ends);
	close(fds.in);
	close(fds.out);
}

TEST_F(errors, KRING_IOC_EVENTFDS_ENOENT)
{
	struct kring_eventfds fds = { -1, -1 };

	EXPECT_ERROR(ENOENT, ioctl(self->ends.guest, KRING_IOC_EVENTFDS, &fds));
}

TEST_F(errors, ioctl_ENOTTY)
{
	EXPECT_ERROR(ENOTTY, ioctl(self->ends.guest, _IO(KRING_IOC_MAGIC, 99)));
}

TEST_F(errors, lseek_ESPIPE)
{
	EXPECT_ERROR(ESPIPE, lseek(self->ends.guest, 0, SEEK_CUR));
	EXPECT_ERROR(ESPIPE, pread(self->ends.guest, self->ends.frame, 1, 0));
	EXPECT_ERROR(ESPIPE, pwrite(self->ends.guest, self->ends.frame, 1, 0));
}

TEST_F(errors, splice_EINVAL)
{
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(1, write(ends[1], "x", 1));
	EXPECT_ERROR(EINVAL, splice(self->ends.guest, NULL, ends[1], NULL, 1, SPLICE_F_NONBLOCK));
	EXPECT_ERROR(EINVAL, splice(ends[0], NULL, self->ends.guest, NULL, 1, SPLICE_F_NONBLOCK));
	close(ends[0]);
	close(ends[1]);
}

TEST_F(errors, fsync_EINVAL)
{
	EXPECT_ERROR(EINVAL, fsync(self->ends.guest));
}

TEST_HARNESS_MAIN
