// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The region of a restored VM: what is copied, what is new, and that the one that was there
 * before is replaced as a whole or not at all, whatever fails on the way.
 */
#include <dirent.h>

#include <tap.h>

#include "faults.h"
#include "scratch.h"

#define PAGE	4096ULL
#define SIZE	(64 * PAGE)

static char dir[SCRATCH_LEN];
static struct kring_error err;

static const char *file(const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
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

static void put(const char *path, off_t at, const void *buf, size_t len)
{
	int fd = open(path, O_RDWR);

	must(fd >= 0 && pwrite(fd, buf, len, at) == (ssize_t)len);
	close(fd);
}

/* All of a file; the caller frees it. */
static uint8_t *whole(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *buf;

	must(fd >= 0 && !fstat(fd, &st));
	*len = st.st_size;
	buf = malloc(*len);
	must(buf && pread(fd, buf, *len, 0) == (ssize_t)*len);
	close(fd);
	return buf;
}

static bool same(const char *one, const char *other, size_t from)
{
	size_t len[2];
	uint8_t *a = whole(one, &len[0]), *b = whole(other, &len[1]);
	bool equal = len[0] == len[1] && !memcmp(a + from, b + from, len[0] - from);

	free(a);
	free(b);
	return equal;
}

/* Something in each ring, and in its last bytes. */
static void saved_new(const char *name)
{
	struct kring_create_args args = { .size = SIZE, .name = "saved" };
	__le32 word = cpu_to_le32(64);
	struct kring_stat st;

	must(!kring_create(file(name), &args, &err) && !kring_stat(file(name), &st, &err));
	put(file(name), 1000, "behind the header", 17);
	put(file(name), st.h2g.offset, &word, sizeof(word));
	put(file(name), st.h2g.offset + 2 * PAGE, "h2g's data", 10);
	put(file(name), st.g2h.offset + 2 * PAGE + st.g2h.size - 10, "the end...", 10);
}

static void test_header(void)
{
	struct kring_clone_args args = { .fork = true };
	struct kring_stat before, st, other;
	struct stat file_st;

	saved_new("saved");
	must(!kring_stat(file("saved"), &before, &err));
	must(!chmod(file("saved"), 0644));
	ok(!kring_clone(file("saved"), file("r"), NULL, &err), "clone");
	must(!kring_stat(file("r"), &st, &err) && !stat(file("r"), &file_st));
	ok(st.generation == before.generation + 1 && st.restored == st.generation,
	   "its generation is one more, and noted as a restore's");
	ok(!memcmp(st.uuid, before.uuid, sizeof(st.uuid)) && !strcmp(st.layout.name, "saved"),
	   "uuid and name stay");
	ok(same(file("saved"), file("r"), sizeof(struct kring_header)),
	   "and each byte behind the header");
	ok(st.h2g.in_flight == 64, "so do the frames that wait");
	ok((file_st.st_mode & 07777) == 0600, "mode 0600");
	must(!kring_stat(file("saved"), &other, &err));
	ok(!memcmp(&before, &other, sizeof(before)), "what was saved stays as it was");
	ok(files() == 2, "nothing else is left in the directory");

	ok(!kring_clone(file("saved"), file("r"), &args, &err) &&
	   !kring_stat(file("r"), &other, &err) && other.generation == st.generation &&
	   other.restored == st.generation, "a fork, in its place");
	ok(memcmp(other.uuid, before.uuid, sizeof(other.uuid)) && other.uuid[6] >> 4 == 4 &&
	   other.uuid[8] >> 6 == 2, "has a new uuid");
	ok(!kring_clone(file("r"), file("r"), NULL, &err) && !kring_stat(file("r"), &st, &err) &&
	   st.generation == before.generation + 2 && st.restored == st.generation &&
	   !memcmp(st.uuid, other.uuid, sizeof(st.uuid)), "the restore of a restore, onto itself");
	unlink(file("r"));
	unlink(file("saved"));
}

static void test_replace(void)
{
	struct kring_stat st;
	int fd, kept;
	__le64 word;

	saved_new("saved");
	must(!kring_create(file("r"), NULL, &err));
	fd = open(file("r"), O_RDWR);
	must(fd >= 0 && !flock(fd, LOCK_EX));
	ok(!kring_clone(file("saved"), file("r"), NULL, &err),
	   "a region that somebody owns is replaced");
	must(!kring_stat(file("r"), &st, &err));
	must(pread(fd, &word, sizeof(word), offsetof(struct kring_header, generation)) == 8);
	ok(le64_to_cpu(word) == 1 && st.generation == 2 && !st.owner,
	   "its owner keeps the old one, and does not own the new one");
	close(fd);

	kept = open(file("saved"), O_RDWR);
	must(kept >= 0 && !flock(kept, LOCK_SH));
	ok(!kring_clone(file("saved"), file("r"), NULL, &err), "two may clone at a time");
	close(kept);
	unlink(file("r"));
	unlink(file("saved"));
}

static void test_owned(void)
{
	struct kring_attach_args attach = { .region = file("saved") };
	struct kring_clone_args force = { .force = true };
	struct kring_host *host;
	struct kring_stat st;

	saved_new("saved");
	must(!kring_host_attach(&host, &attach, &err));
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EBUSY &&
	   strstr(err.text, "saved: its host end is owned by") && files() == 1, "%s", err.text);
	ok(!kring_clone(file("saved"), file("r"), &force, &err) &&
	   !kring_stat(file("r"), &st, &err) && st.generation == 3, "but not with force");
	kring_host_detach(host);
	ok(!kring_clone(file("saved"), file("r"), NULL, &err), "and when it is let go it can");
	attach.region = file("r");
	ok(!kring_host_attach(&host, &attach, &err) && kring_host_generation(host) == 4 &&
	   kring_host_restored(host) == 3, "who attaches to the clone knows that it is one");
	kring_host_detach(host);
	ok(!kring_host_attach(&host, &attach, &err) && kring_host_generation(host) == 5 &&
	   kring_host_restored(host) == 3, "and so does the next");
	kring_host_detach(host);
	unlink(file("r"));
	unlink(file("saved"));
}

static void test_sparse(void)
{
	struct kring_create_args args = { .size = 256 << 20 };
	struct kring_stat st;
	struct stat file_st;

	must(!kring_create(file("saved"), &args, &err) && !kring_stat(file("saved"), &st, &err));
	put(file("saved"), st.g2h.offset + 2 * PAGE + 123, "middle", 6);
	put(file("saved"), args.size - 1, "e", 1);
	copies = 0;
	ok(!kring_clone(file("saved"), file("r"), NULL, &err) && !stat(file("r"), &file_st) &&
	   file_st.st_size == (off_t)args.size && file_st.st_blocks * 512 < 1 << 20,
	   "256 MiB with three pages take %lld bytes", (long long)file_st.st_blocks * 512);
	ok(copies >= 3 && copies < 200, "in %d copies of a page", copies);
	ok(same(file("saved"), file("r"), sizeof(struct kring_header)), "and are equal");
	unlink(file("r"));
	unlink(file("saved"));
}

static void test_amrb(void)
{
	struct kring_create_args args = { .format = KRING_FORMAT_AMRB, .size = SIZE };
	struct kring_clone_args fork = { .fork = true };
	__le32 head = cpu_to_le32(123);

	must(!kring_create(file("saved"), &args, &err));
	put(file("saved"), 64, &head, sizeof(head));
	ok(!kring_clone(file("saved"), file("r"), NULL, &err) &&
	   same(file("saved"), file("r"), 0), "AMRB: each byte is copied");
	ok(!kring_clone(file("saved"), file("r"), &fork, &err) &&
	   same(file("saved"), file("r"), 0), "a fork's, too");
	unlink(file("r"));
	unlink(file("saved"));
}

static void test_refused(void)
{
	struct kring_stat before, st;
	__le32 word = cpu_to_le32(2);

	saved_new("saved");
	must(!kring_create(file("r"), NULL, &err) && !kring_stat(file("r"), &before, &err));
	put(file("saved"), 4, &word, sizeof(word));
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EPROTONOSUPPORT &&
	   strstr(err.text, "saved: version 2: newer"), "%s", err.text);
	word = cpu_to_le32(1);
	put(file("saved"), 4, &word, sizeof(word));
	must(!truncate(file("saved"), SIZE - PAGE));
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EINVAL &&
	   strstr(err.text, "truncated"), "%s", err.text);
	must(!truncate(file("saved"), SIZE));
	ok(kring_clone(file("none"), file("r"), NULL, &err) == -ENOENT, "%s", err.text);
	ok(kring_clone(dir, file("r"), NULL, &err) == -EINVAL, "%s", err.text);
	must(!kring_stat(file("r"), &st, &err));
	ok(!memcmp(&before, &st, sizeof(st)) && files() == 2, "what was there before is there");
	ok(kring_clone(file("saved"), file("none/r"), NULL, &err) == -ENOENT &&
	   strstr(err.text, "none/r: No such"), "%s", err.text);
	must(!mkdir(file("folder"), 0700));
	ok(kring_clone(file("saved"), file("folder"), NULL, &err) == -EISDIR && files() == 3,
	   "%s", err.text);
	ok(kring_clone(file("saved"), file("folder"), NULL, NULL) == -EISDIR,
	   "nobody wants to know why");
	must(!rmdir(file("folder")));
	unlink(file("r"));
	unlink(file("saved"));
}

static void shrink(void)
{
	must(!truncate(file("saved"), PAGE));
}

struct fault {
	enum call call;
	int after;
	int error;
};

/* Each call that can fail does. What was there before stays, and nothing else is left. */
static void test_each(const struct fault *faults, size_t count)
{
	struct kring_clone_args fork = { .fork = true };
	struct kring_stat before, st;
	size_t i;
	int code;

	must(!kring_stat(file("r"), &before, &err));
	for (i = 0; i < count; i++) {
		fail(faults[i].call, faults[i].after, faults[i].error);
		code = kring_clone(file("saved"), file("r"), &fork, &err);
		ok(code == -faults[i].error && failed() && !kring_stat(file("r"), &st, NULL) &&
		   !memcmp(&before, &st, sizeof(st)) && files() == 2, "clone: %s", err.text);
	}
}

static void test_faults(void)
{
	static const struct fault cases[] = {
		{ FLOCK, 0, ENOLCK }, { FSTAT, 0, EIO }, { FSTAT, 1, EIO }, { FSTAT, 2, EIO },
		{ PREAD, 0, EIO }, { PREAD, 1, EIO }, { TMPFILE, 0, EACCES },
		{ FTRUNCATE, 0, ENOSPC }, { PWRITE, 0, ENOSPC }, { FSYNC, 0, EIO },
		{ GETRANDOM, 0, EPERM }, { GETRANDOM, 1, EPERM }, { LINKAT, 0, EPERM },
		{ RENAME, 0, EACCES },
	};
	static const struct fault by_hand[] = {
		{ PREAD, 2, EIO }, { PWRITE, 0, ENOSPC }, { PWRITE, 1, ENOSPC },
	};
	static const struct fault mapped[] = {
		{ MMAP, 0, ENOMEM }, { MMAP, 1, ENOMEM }, { FSTAT, 3, EIO },
	};

	saved_new("saved");
	must(!kring_create(file("r"), NULL, &err));
	test_each(cases, ARRAY_SIZE(cases));
	only_read = true;
	test_each(by_hand, ARRAY_SIZE(by_hand));
	/* The header has been read twice by then. */
	meanwhile_read = shrink;
	meanwhile_reads = 2;
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EIO && files() == 2,
	   "truncated while it is read: %s", err.text);
	must(!truncate(file("saved"), SIZE));
	only_read = false;
	only_mapped = true;
	test_each(mapped, ARRAY_SIZE(mapped));
	only_mapped = false;
	meanwhile_read = shrink;
	meanwhile_reads = 1;
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EIO && files() == 2,
	   "truncated before that: %s", err.text);
	must(!truncate(file("saved"), SIZE));
	/* The name is there by then, and only whether it outlives a crash is not known. */
	fail(FSYNC, 1, EIO);
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EIO && failed() && files() == 2,
	   "a directory that cannot be synced: %s", err.text);
	/* After it was opened, and before it is looked at. */
	meanwhile = shrink;
	ok(kring_clone(file("saved"), file("r"), NULL, &err) == -EINVAL && files() == 2,
	   "one that is truncated just then: %s", err.text);
	unlink(file("r"));
	unlink(file("saved"));
}

static bool cloned(enum call call, int after, int error)
{
	struct kring_stat st;
	bool good;

	fail(call, after, error);
	copies = 0;
	good = !kring_clone(file("saved"), file("r"), NULL, &err) && failed() &&
	       same(file("saved"), file("r"), sizeof(struct kring_header)) &&
	       !kring_stat(file("r"), &st, &err) && st.restored == 2 && files() == 2;
	unlink(file("r"));
	return good;
}

/* Other ways, where the first is not to be had. */
static void test_ways(void)
{
	static const int errors[] = { EXDEV, EOPNOTSUPP, EPERM, EINVAL, 0 };
	size_t i;
	int all;

	saved_new("saved");
	ok(cloned(NONE, 0, 0), "the kernel copies");
	all = copies;
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ok(cloned(COPY, 0, errors[i]), "the kernel does not copy: %s",
		   strerror(errors[i]));
		ok(cloned(COPY, 1, errors[i]), "or stops after a page");
		ok(cloned(COPY, all - 1, errors[i]), "or before the last");
	}
	ok(cloned(COPY, 1, EINTR) && copies == all + 1, "unless it was a signal");
	only_mapped = true;
	ok(cloned(NONE, 0, 0), "files that can only be mapped");
	only_mapped = false;
	only_read = true;
	ok(cloned(PREAD, 2, EINTR), "a signal while it is read");
	only_read = false;
	ok(cloned(LSEEK, 0, EINVAL), "a file system that knows nothing of holes");
	ok(cloned(LSEEK, 1, EINVAL), "or of their ends");
	ok(cloned(PWRITE, 0, EINVAL), "one without write()");
	ok(cloned(PWRITE, 0, EINTR), "a signal while it is written");
	ok(cloned(TMPFILE, 0, EOPNOTSUPP), "one where each file has a name");
	ok(cloned(FSYNC, 0, EINVAL) && cloned(FSYNC, 1, EINVAL), "one with nothing to sync");
	ok(cloned(LINKAT, 0, EEXIST), "a name that is taken");
	ok(cloned(GETRANDOM, 0, EINTR), "a signal before there is randomness");
	must(!chdir(dir));
	ok(!kring_clone("saved", "r", NULL, &err) && files() == 2, "paths without a slash");
	unlink(file("r"));
	unlink(file("saved"));
}

int main(void)
{
	char cmd[SCRATCH_LEN + 8];

	scratch_make(dir);
	test_header();
	test_replace();
	test_owned();
	test_sparse();
	test_amrb();
	test_refused();
	test_faults();
	test_ways();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	must(!system(cmd));
	return tap_done();
}
