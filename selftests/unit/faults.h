/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Calls of the system that fail when a test wants them to. To be included once in a program:
 * its functions take the place of libc's.
 */
#ifndef KRING_UNIT_FAULTS_H
#define KRING_UNIT_FAULTS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kring.h>

enum call {
	NONE, FSTAT, PREAD, FTRUNCATE, MMAP, GETRANDOM, TMPFILE, LINKAT, FLOCK, FOPEN, PWRITE,
	LSEEK, COPY, FSYNC, RENAME,
};

/* The call that fails, after how many that do not, with what; 0: it is short. */
static enum call failing;
static int failing_after;
static int failing_errno;

/* So many reads of a cursor see a ring that moves. */
static int moves;

/* Files that have no copy_file_range(), and those that have no write() either: hugetlbfs. */
static bool only_read;
static bool only_mapped;

/* How often the kernel was asked to copy by itself. */
static int copies;

/* What /proc has instead, NULL: what it has. */
static char *proc;

/* Called once, when a lock was asked for: what else happens at that moment. */
static void (*meanwhile)(void);

/* The same before a read, after so many others. */
static void (*meanwhile_read)(void);
static int meanwhile_reads;

static inline void fail(enum call call, int after, int error)
{
	failing = call;
	failing_after = after;
	failing_errno = error;
}

static inline bool fails(enum call call)
{
	if (failing != call || failing_after-- > 0)
		return false;
	failing = NONE;
	errno = failing_errno;
	return true;
}

static inline bool failed(void)
{
	bool done = failing == NONE;

	failing = NONE;
	return done;
}

/* Those of libc, which this program's own come before. */
#define REAL(name) ({								\
	static __typeof__(name) *real_;						\
	if (!real_)								\
		real_ = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);		\
	real_;									\
})

int fstat(int fd, struct stat *st)
{
	return fails(FSTAT) ? -1 : REAL(fstat)(fd, st);
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
	ssize_t n;

	if (fails(PREAD))
		return failing_errno ? -1 : 1;
	if (meanwhile_read && !meanwhile_reads--) {
		meanwhile_read();
		meanwhile_read = NULL;
	}
	n = REAL(pread)(fd, buf, len, at);
	/* tail, head, tail: the second time elsewhere, and head too far from the first */
	if (moves && len == sizeof(__le32)) {
		*(__le32 *)buf = cpu_to_le32(moves-- % 3 == 2 ? 0x40000000 : moves * 8);
		if (!moves)
			*(__le32 *)buf = cpu_to_le32(8);
	}
	return n;
}

int ftruncate(int fd, off_t size)
{
	return fails(FTRUNCATE) ? -1 : REAL(ftruncate)(fd, size);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	/* Sanitizers call this before dlsym() works. */
	if (fd < 0)
		return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
	return fails(MMAP) ? MAP_FAILED :
			     (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	return fails(GETRANDOM) ? -1 : REAL(getrandom)(buf, len, flags);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if ((flags & O_TMPFILE) == O_TMPFILE && fails(TMPFILE))
		return -1;
	return REAL(open)(path, flags, mode);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return fails(LINKAT) ? -1 : REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int flock(int fd, int operation)
{
	void (*happens)(void) = meanwhile;

	meanwhile = NULL;
	if (happens)
		happens();
	return fails(FLOCK) ? -1 : REAL(flock)(fd, operation);
}

FILE *fopen(const char *path, const char *mode)
{
	if (fails(FOPEN))
		return NULL;
	if (proc && !strncmp(path, "/proc/", 6))
		return fmemopen(proc, strlen(proc), mode);
	return REAL(fopen)(path, mode);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	if (only_mapped) {
		errno = EINVAL;
		return -1;
	}
	return fails(PWRITE) ? -1 : REAL(pwrite)(fd, buf, len, at);
}

off_t lseek(int fd, off_t at, int whence)
{
	return fails(LSEEK) ? -1 : REAL(lseek)(fd, at, whence);
}

/* At most a page at a time, so that it can fail half way. */
ssize_t copy_file_range(int from, off_t *in, int to, off_t *out, size_t len, unsigned int flags)
{
	copies++;
	if (only_mapped || only_read) {
		errno = EXDEV;
		return -1;
	}
	if (fails(COPY))
		return failing_errno ? -1 : 0;
	return REAL(copy_file_range)(from, in, to, out, len < 4096 ? len : 4096, flags);
}

int fsync(int fd)
{
	return fails(FSYNC) ? -1 : REAL(fsync)(fd);
}

int rename(const char *from, const char *to)
{
	return fails(RENAME) ? -1 : REAL(rename)(from, to);
}

#endif /* KRING_UNIT_FAULTS_H */
