// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Making and looking at a region while the system refuses: each call that can fail does, one
 * at a time, and what comes back is an error and nothing left behind.
 */
#include <dirent.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

#include <kring.h>

#include <tap.h>

#include "faults.h"
#include "scratch.h"

static char dir[SCRATCH_LEN];
static struct kring_error err;

static const char *file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Files in the directory, with those that nobody sees. */
static int files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	must(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static int create_with(enum call call, int error)
{
	fail(call, 0, error);
	return kring_create(file("new"), NULL, &err);
}

static void test_create(void)
{
	static const struct {
		enum call call;
		int error;
	} cases[] = {
		{ GETRANDOM, EIO }, { TMPFILE, EACCES }, { FTRUNCATE, ENOSPC },
		{ MMAP, ENOMEM }, { LINKAT, EPERM },
	};
	static uint8_t mem[64 * 4096] __attribute__((aligned(4096)));
	struct kring_create_args args = { .name = "formatted" };
	struct kring_stat st;
	char path[5000];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		ok(create_with(cases[i].call, cases[i].error) == -cases[i].error && failed() &&
		   !files(), "create: %s", err.text);
	ok(!create_with(GETRANDOM, EINTR) && failed(), "a signal is no reason to give up");
	unlink(file("new"));

	ok(!create_with(TMPFILE, EOPNOTSUPP) && failed() && files() == 1 &&
	   !kring_stat(file("new"), &st, &err), "a file system without O_TMPFILE");
	ok(create_with(TMPFILE, EISDIR) == -EEXIST && files() == 1,
	   "there, too, nothing is replaced, and nothing left behind");
	unlink(file("new"));
	ok(!create_with(TMPFILE, EINVAL) && failed() && files() == 1, "or another without it");
	unlink(file("new"));
	fail(TMPFILE, 0, EOPNOTSUPP);
	ok(kring_create(file("none/new"), NULL, &err) == -ENOENT, "%s", err.text);

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ok(kring_create(path, NULL, &err) == -ENAMETOOLONG, "a path that is too long");
	path[4500] = '/';
	ok(kring_create(path, NULL, &err) == -ENAMETOOLONG, "a folder's path that is too long");
	must(!chdir(dir));
	ok(!kring_create("plain", NULL, &err) && files() == 1, "a path without a slash");
	unlink("plain");
	ok(!kring_format(mem, sizeof(mem), &args, &err) &&
	   !strcmp((char *)((struct kring_header *)mem)->name, "formatted"), "format by name");
}

static void test_stat(void)
{
	struct kring_stat st;
	bool good = true;
	int i, code;

	must(!kring_create(file("s"), NULL, &err));
	for (i = 0; i < 2; i++) {
		fail(FSTAT, i, EIO);
		ok(kring_stat(file("s"), &st, &err) == -EIO && failed(), "stat: %s", err.text);
	}
	fail(FSTAT, 2, EIO);
	ok(!kring_stat(file("s"), &st, &err) && failed() && st.owner == -1,
	   "when nothing says which file it is, the owner cannot be told");
	fail(FOPEN, 0, ENOENT);
	ok(!kring_stat(file("s"), &st, &err) && failed() && st.owner == -1,
	   "nor without /proc");

	for (i = 0; ; i++) {
		fail(PREAD, i, ENXIO);
		code = kring_stat(file("s"), &st, &err);
		if (!failed())
			break;
		expect(&good, code == -ENXIO);
		fail(PREAD, i, 0);
		expect(&good, kring_stat(file("s"), &st, &err) == -EIO && failed());
	}
	ok(good && !code && i == 2 + 2 * 5, "each of %d reads fails, or is short: %s", i, err.text);

	moves = 3;
	ok(!kring_stat(file("s"), &st, &err) && !st.h2g.corrupt, "cursors that move are no fault");
	moves = 3 * 1001;
	ok(!kring_stat(file("s"), &st, &err) && st.h2g.corrupt && !moves,
	   "those that move for ever are not looked at for ever");
	moves = 0;
}

static pid_t owner_by(const char *fmt, unsigned int dev_major, unsigned int dev_minor,
		      unsigned long long ino)
{
	struct kring_stat st = { 0 };
	char text[512];

	/* Each kind of line that is not the one comes first. */
	snprintf(text, sizeof(text), fmt, dev_major + 1, dev_minor, ino, dev_major, dev_minor + 1,
		 ino, dev_major, dev_minor, ino + 1, dev_major, dev_minor, ino);
	proc = text;
	must(!kring_stat(file("s"), &st, &err));
	proc = NULL;
	return st.owner;
}

static void test_owner(void)
{
	static const char *const others =
		"1: POSIX  ADVISORY  WRITE 1 00:01:2 0 EOF\n"
		"2: FLOCK  ADVISORY  WRITE 2 %%02x:%%02x:%%llu 0 EOF\n"
		"3: FLOCK  ADVISORY  WRITE 3 %%02x:%%02x:%%llu 0 EOF\n"
		"4: FLOCK  ADVISORY  WRITE 4 %%02x:%%02x:%%llu 0 EOF\n"
		"4: -> FLOCK  ADVISORY  WRITE 1 00:01:2 0 EOF\n"
		"5: FLOCK  ADVISORY  WRITE %d %%02x:%%02x:%%llu 0 EOF\n";
	char fmt[512];
	struct stat st;

	must(!stat(file("s"), &st));
	snprintf(fmt, sizeof(fmt), others, getpid());
	ok(owner_by(fmt, major(st.st_dev), minor(st.st_dev), st.st_ino) == getpid(),
	   "the owner is found among other locks");
	snprintf(fmt, sizeof(fmt), others, 1);
	ok(owner_by(fmt, major(st.st_dev), minor(st.st_dev), st.st_ino) == 1,
	   "one that is another user's, too");
	snprintf(fmt, sizeof(fmt), others, 0x7ffffffe);
	ok(owner_by(fmt, major(st.st_dev), minor(st.st_dev), st.st_ino) == -1,
	   "one that is gone cannot be told");
	snprintf(fmt, sizeof(fmt), others, -1);
	ok(owner_by(fmt, major(st.st_dev), minor(st.st_dev), st.st_ino) == -1,
	   "nor one outside");
}

static void replace(void)
{
	must(!kring_clone(file("s"), file("s"), NULL, &err));
}

static void test_attach(void)
{
	struct kring_attach_args args = { .region = file("s"), .rescue_ms = 1000 };
	struct kring_host *host = NULL;
	int fd, other;

	fail(MMAP, 0, ENOMEM);
	ok(kring_host_attach(&host, &args, &err) == -ENOMEM && failed(), "attach: %s", err.text);
	fail(FLOCK, 0, ENOLCK);
	ok(kring_host_attach(&host, &args, &err) == -ENOLCK && failed(), "attach: %s", err.text);

	fail(FSTAT, 1, EIO);
	ok(kring_host_attach(&host, &args, &err) == -EIO && failed(), "attach: %s", err.text);
	meanwhile = replace;
	ok(kring_host_attach(&host, &args, &err) == -ESTALE &&
	   strstr(err.text, "s is another file now"), "attach, replaced meanwhile: %s", err.text);

	/* Locks of other files and of another kind come before this one. */
	other = open(file("other"), O_CREAT | O_RDWR, 0600);
	must(other >= 0 && !flock(other, LOCK_EX) && !lockf(other, F_LOCK, 0));
	fd = open(file("s"), O_RDWR);
	must(fd >= 0 && !flock(fd, LOCK_EX));
	must(!prctl(PR_SET_NAME, "a\x1b[1m\x7f"));
	ok(kring_host_attach(&host, &args, &err) == -EBUSY && strstr(err.text, "owned by a?[1m? "),
	   "attach: %s", err.text);
	fail(FOPEN, 0, ENOENT);
	ok(kring_host_attach(&host, &args, &err) == -EBUSY && failed() &&
	   strstr(err.text, "another process"), "attach: %s", err.text);
	fail(FOPEN, 1, ENOENT);
	ok(kring_host_attach(&host, &args, &err) == -EBUSY && failed() &&
	   strstr(err.text, "another process"), "attach: %s", err.text);
	proc = "\n";
	ok(kring_host_attach(&host, &args, &err) == -EBUSY &&
	   strstr(err.text, "another process"), "attach: %s", err.text);
	proc = NULL;
	close(fd);
	close(other);
	ok(!kring_host_attach(&host, &args, &err), "and then it attaches");
	kring_host_detach(host);
}

int main(void)
{
	char cmd[SCRATCH_LEN + 8];

	scratch_make(dir);
	test_create();
	test_stat();
	test_owner();
	test_attach();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	must(!system(cmd));
	return tap_done();
}
