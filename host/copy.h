/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kring cp: what its files share.
 *
 * Names are looked up and directories made one after the other, as in any program that
 * copies; files are transferred meanwhile, several at a time. So the code that walks trees
 * reads from top to bottom, and whenever it waits, transfers go on.
 */
#ifndef KRING_COPY_H
#define KRING_COPY_H

#include <limits.h>
#include <sys/stat.h>

#include "client.h"
#include "part.h"
#include "progress.h"

/* Files that are transferred at the same time. */
#define COPY_STREAMS	16

/* Directories within directories. */
#define COPY_DEPTH_MAX	200

/* Bytes that are read at once. */
#define COPY_CHUNK	(128 << 10)

/**
 * struct copy - one run of kring cp
 * @client: connection
 * @recursive: directories too
 * @owner: keep owner and group, and all bits of the mode
 * @resume: go on with what was interrupted, and let it be gone on with
 * @umask: of the process
 * @progress: what is shown of it
 * @listed: bytes that lists of the guest's directories take
 * @active: transfers under way
 * @waiting: client_run() is to end when one of them does
 * @failed: something was not copied
 * @lost: the connection is, and @err says why
 * @err: for the last line
 */
struct copy {
	struct client *client;
	bool recursive;
	bool owner;
	bool resume;
	mode_t umask;
	struct progress progress;
	size_t listed;
	unsigned int active;
	bool waiting;
	bool failed;
	bool lost;
	struct kring_error *err;
};

/* copy.c */

/* A line for the person: what was not copied, made printable. The rest goes on. */
void copy_fail(struct copy *copy, const char *path, const char *fmt, ...) TOOL_PRINTF(3, 4);

/*
 * What the guest has said, in words; a negative errno, -ECONNRESET: it was not the guest, the
 * connection is lost, and nothing needs to be printed.
 */
int copy_error(struct copy *copy, struct kring_error *why, const void *error, size_t len);

/* copy_fail() with what the guest has said. */
void copy_refused(struct copy *copy, const char *path, const void *error, size_t len);

/* A line that is no failure. */
void copy_notice(struct copy *copy, const char *path, const char *text);

/* A transfer begins; ends. */
void copy_begin(struct copy *copy);
void copy_end(struct copy *copy);

/* Lets transfers go on until there are @max at most. -EIO: the connection is lost. */
int copy_wait(struct copy *copy, unsigned int max);

/* Lets them go on until *@done. */
int copy_wait_for(struct copy *copy, const bool *done);

/*
 * copy_call.c: a request with a result, as client_call(). Nothing is printed; @why is for
 * copy_fail().
 */
int copy_call(struct copy *copy, const char *service, const ProtobufCMessage *request,
	      const ProtobufCMessageDescriptor *type, void **answer, struct kring_error *why);

/* stat of the guest's @path: the answer is to be freed with kring_unpack_free(). */
int copy_stat(struct copy *copy, const char *path, bool follow, Kring__FileInfo **info,
	      struct kring_error *why);

/* The bytes of @path. */
ProtobufCBinaryData copy_bytes(const char *path);

/* Bytes of the guest's as a string, up to a NUL, to be freed; NULL: no memory. */
char *copy_string(const struct ProtobufCBinaryData *bytes);

/* "DIR/NAME", to be freed; NULL: no memory. */
char *copy_join(const char *dir, const char *name);

/*
 * The last part of @path, into @name; an empty one where it is all of something: "/", "."
 * or "..". False: it is too long.
 */
bool copy_base(const char *path, char name[NAME_MAX + 1]);

/**
 * struct copy_version - what tells a file from another one, and from itself when it has changed
 * @size: bytes
 * @mtime: nanoseconds
 * @ctime: the same; 0: not known
 * @inode: its number; 0: not known
 */
struct copy_version {
	uint64_t size;
	int64_t mtime;
	int64_t ctime;
	uint64_t inode;
};

/* Names an interrupted transfer of a file, as long as it is the same file. */
void copy_token(char token[KRING_TOKEN_MAX + 1], const char *path,
		const struct copy_version *version);

/**
 * struct attributes - an Attributes and what it points to
 * @all: the message
 * @mode: what it points to
 * @uid: the same
 * @gid: the same
 * @mtime: the same
 */
struct attributes {
	Kring__Attributes all;
	Kring__Number mode;
	Kring__Number uid;
	Kring__Number gid;
	Kring__Number mtime;
};

/* What a copy gets of a file that has these. */
void copy_attributes(const struct copy *copy, struct attributes *attributes, mode_t mode,
		     uid_t uid, gid_t gid, int64_t mtime);

/* copy_put.c */

struct remote_dir;

/**
 * copy_put() - begin to transfer a file to the guest
 * @copy: run
 * @fd: the file, which is copy_put()'s from now on
 * @from: its path, for messages
 * @to: path in the guest
 * @dir: directory that it is in, held while it goes on; NULL: none
 */
void copy_put(struct copy *copy, int fd, const char *from, const char *to,
	      struct remote_dir *dir);

/* copy_get.c */

struct place;

/**
 * copy_get() - begin to transfer a file from the guest
 * @copy: run
 * @from: path in the guest
 * @info: what is known of it, NULL: nothing
 * @place: directory that it goes to, held while it goes on; NULL: it goes to stdout
 * @name: in that directory
 */
void copy_get(struct copy *copy, const char *from, const Kring__FileInfo *info,
	      struct place *place, const char *name);

/* tree_put.c: each path of @sources to the guest's @to. */
void copy_to_guest(struct copy *copy, char **sources, int count, const char *to);

/* tree_get.c: each of the guest's paths to @to. */
void copy_from_guest(struct copy *copy, char **sources, int count, const char *to);

/* remote_dir.c: a directory of the guest's, which gets its attributes when all is in it */

struct remote_dir *remote_dir_new(struct copy *copy, const char *path,
				  const struct attributes *attributes, struct remote_dir *up);
struct remote_dir *remote_dir_get(struct remote_dir *dir);
void remote_dir_put(struct remote_dir *dir);
const char *remote_dir_path(const struct remote_dir *dir);

/* place.c: the same here */

struct place *place_new(struct copy *copy, int fd, const char *path);
struct place *place_make(struct place *up, const char *name, const Kring__FileInfo *info);
struct place *place_get(struct place *place);
void place_put(struct place *place);
int place_fd(const struct place *place);
const char *place_path(const struct place *place);

#endif /* KRING_COPY_H */
