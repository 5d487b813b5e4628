// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Who holds a direction: open files, and copies of them.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "ends.h"

FIXTURE(open) {
	struct loop loop;
};

FIXTURE_SETUP(open)
{
	ASSERT_EQ(NULL, loop_find(&self->loop, 0));
}

FIXTURE_TEARDOWN(open)
{
}

/* Whether a file with @mode could be had beside those that there are. */
static bool is_free(const char *path, int mode)
{
	int fd = open(path, mode | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_busy(const char *path, int mode)
{
	return !is_free(path, mode) && errno == EBUSY;
}

/* Each mode beside each: whether they want the same direction. */
TEST_F(open, all_pairs)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int fd = open(self->loop.guest, modes[i]);

		ASSERT_LE(0, fd);
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			bool apart = i != j && modes[i] != O_RDWR && modes[j] != O_RDWR;

			EXPECT_EQ(apart, is_free(self->loop.guest, modes[j]))
				TH_LOG("mode %d beside %d", modes[j], modes[i]);
			/* A refused one has taken nothing. */
			EXPECT_EQ(modes[i] == O_WRONLY, is_free(self->loop.guest, O_RDONLY));
			EXPECT_EQ(modes[i] == O_RDONLY, is_free(self->loop.guest, O_WRONLY));
		}
		close(fd);
		EXPECT_TRUE(is_free(self->loop.guest, O_RDWR));
	}
}

TEST_F(open, ends_are_apart)
{
	int guest = open(self->loop.guest, O_RDWR);

	ASSERT_LE(0, guest);
	EXPECT_TRUE(is_free(self->loop.host, O_RDWR));
	close(guest);
}

TEST_F(open, dup_holds_it)
{
	int fd = open(self->loop.guest, O_RDWR), copy = dup(fd);

	ASSERT_LE(0, copy);
	close(fd);
	EXPECT_TRUE(is_busy(self->loop.guest, O_RDONLY));
	EXPECT_TRUE(is_busy(self->loop.guest, O_WRONLY));
	close(copy);
	EXPECT_TRUE(is_free(self->loop.guest, O_RDWR));
}

TEST_F(open, fork_holds_it)
{
	int fd = open(self->loop.guest, O_RDWR), go[2], status;
	pid_t child;
	char c;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child) {
		close(go[1]);
		_exit(read(go[0], &c, 1));
	}
	close(fd);
	EXPECT_TRUE(is_busy(self->loop.guest, O_RDWR));
	close(go[1]);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(is_free(self->loop.guest, O_RDWR));
	close(go[0]);
}

/* A process that is killed gives it up. */
TEST_F(open, killed)
{
	int ready[2], status;
	pid_t child;
	char c;

	ASSERT_EQ(0, pipe(ready));
	child = fork();
	if (!child) {
		int fd = open(self->loop.guest, O_RDWR);

		if (fd < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		read(fd, &c, 1);
		_exit(1);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_TRUE(is_busy(self->loop.guest, O_RDWR));
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_TRUE(is_free(self->loop.guest, O_RDWR));
	close(ready[0]);
	close(ready[1]);
}

static struct msghdr *carrier(int fd)
{
	static union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	static char byte;
	static struct iovec iov = { &byte, 1 };
	static struct msghdr msg;
	struct cmsghdr *cmsg;

	msg = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			       .msg_controllen = sizeof(control.buf) };
	cmsg = CMSG_FIRSTHDR(&msg);
	*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return &msg;
}

/* Also while it is on the way. Who gets it goes on where the other one was. */
TEST_F(open, passed)
{
	int guest = open(self->loop.guest, O_RDWR | O_NONBLOCK);
	int host = open(self->loop.host, O_RDWR | O_NONBLOCK);
	struct msghdr *msg = carrier(-1);
	int sockets[2], got;
	char buf[8];

	ASSERT_LE(0, guest);
	ASSERT_LE(0, host);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	ASSERT_EQ(1, write(host, "1", 1));
	ASSERT_EQ(1, write(host, "2", 1));
	EXPECT_EQ(1, read(guest, buf, sizeof(buf)));
	EXPECT_EQ('1', buf[0]);
	ASSERT_EQ(1, sendmsg(sockets[0], carrier(guest), 0));
	close(guest);
	EXPECT_TRUE(is_busy(self->loop.guest, O_RDWR));
	ASSERT_EQ(1, recvmsg(sockets[1], msg, 0));
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(msg)), sizeof(got));
	EXPECT_EQ(1, read(got, buf, sizeof(buf)));
	EXPECT_EQ('2', buf[0]);
	close(got);
	EXPECT_TRUE(is_free(self->loop.guest, O_RDWR));
	close(host);
	close(sockets[0]);
	close(sockets[1]);
}

/* What nobody has read waits for the next one who opens it. */
TEST_F(open, frames_stay)
{
	int host = open(self->loop.host, O_RDWR | O_NONBLOCK);
	int guest = open(self->loop.guest, O_RDWR | O_NONBLOCK);
	char buf[8];

	ASSERT_EQ(5, write(host, "frame", 5));
	close(guest);
	guest = open(self->loop.guest, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(5, read(guest, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "frame", 5));
	close(guest);
	close(host);
}

TEST_F(open, info)
{
	int guest = open(self->loop.guest, O_RDONLY), host = open(self->loop.host, O_RDONLY);
	struct kring_info at, of;

	memset(&at, 0xff, sizeof(at));
	ASSERT_EQ(0, ioctl(guest, KRING_IOC_INFO, &at));
	ASSERT_EQ(0, ioctl(host, KRING_IOC_INFO, &of));
	EXPECT_STREQ("loop0", (char *)at.name);
	EXPECT_EQ(KRING_INFO_DOORBELL, at.flags);
	EXPECT_EQ(KRING_INFO_DOORBELL | KRING_INFO_HOST, of.flags);
	EXPECT_EQ(0, at.reserved);
	EXPECT_EQ(at.h2g_size / 2 - 8, at.h2g_frame_max);
	EXPECT_EQ(at.g2h_size / 2 - 8, at.g2h_frame_max);
	EXPECT_LE(1, at.generation);
	of.flags = at.flags;
	EXPECT_EQ(0, memcmp(&at, &of, sizeof(at)));
	close(guest);
	close(host);
}

TEST_HARNESS_MAIN
