/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of libkring share and nobody else sees.
 */
#ifndef KRING_INTERNAL_H
#define KRING_INTERNAL_H

#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kring.h"

#define KRING_PRINTF(fmt, args)	__attribute__((format(printf, fmt, args)))

/* error.c: each fills @err, which may be NULL, and returns @code */

int kring_error(struct kring_error *err, int code, const char *fmt, ...) KRING_PRINTF(3, 4);

/* With "PATH: " in front, shortened at its start where the rest would not fit. */
int kring_error_path(struct kring_error *err, int code, const char *path, const char *fmt, ...)
	KRING_PRINTF(4, 5);

/* The same for a header that was refused: field, value, why. @path may be NULL. */
int kring_error_fault(struct kring_error *err, int code, const char *path,
		      const struct kring_fault *fault);

/* region.c */

/**
 * struct kring_region - an open region
 * @fd: of its file
 * @path: the caller's, for errors
 * @header: the private copy that was checked
 * @layout: what it says
 * @base: where kring_region_map() has it, or NULL
 */
struct kring_region {
	int fd;
	const char *path;
	union kring_any_header header;
	struct kring_layout layout;
	void *base;
};

int kring_region_open(struct kring_region *region, const char *path, int access,
		      struct kring_error *err);
int kring_region_load(struct kring_region *region, struct kring_error *err);
int kring_region_map(struct kring_region *region, struct kring_error *err);
void kring_region_close(struct kring_region *region);

/* create.c */

int kring_uuid_make(uint8_t *uuid);

/* random.c */

int kring_random(void *buf, size_t len);

/* temp.c */

/**
 * struct kring_temp - a file that has not got its name yet
 * @fd: of it
 * @path: where it is to be, the caller's
 * @name: that it has meanwhile, empty: none
 */
struct kring_temp {
	int fd;
	const char *path;
	char name[PATH_MAX];
};

int kring_temp_open(struct kring_temp *temp, const char *path);
int kring_temp_link(struct kring_temp *temp);
int kring_temp_rename(struct kring_temp *temp);
void kring_temp_close(struct kring_temp *temp);

/* owner.c */

int kring_owner_lock(int fd, int how, const char *path, struct kring_error *err);
void kring_owner_unlock(int fd);
pid_t kring_owner_find(int fd);

/* doorbell.c */

/**
 * struct kring_doorbell - a client of the console port's socket
 * @addr: where it is
 * @addr_len: bytes of @addr
 * @epoll: where @sock and @timer are waited for, the host's
 * @sock_event: what @epoll reports for @sock
 * @sock: -1 while it is not connected
 * @timer: expires when it is time to connect again
 * @backoff_ms: how long the next wait for that is
 * @since_ms: when @sock was connected
 * @proven: something came through @sock
 */
struct kring_doorbell {
	struct sockaddr_un addr;
	socklen_t addr_len;
	int epoll;
	uint32_t sock_event;
	int sock;
	int timer;
	unsigned int backoff_ms;
	uint64_t since_ms;
	bool proven;
};

int kring_doorbell_open(struct kring_doorbell *bell, const char *path, int epoll,
			uint32_t sock_event, uint32_t timer_event, struct kring_error *err);
void kring_doorbell_close(struct kring_doorbell *bell);
bool kring_doorbell_connect(struct kring_doorbell *bell);
int kring_doorbell_kick(struct kring_doorbell *bell);
bool kring_doorbell_drain(struct kring_doorbell *bell);

/* fence.c */

/**
 * struct kring_fence - what tells whether a region is still its host's
 * @path: of the region, absolute
 * @dev: of the file that is mapped
 * @ino: of the file that is mapped
 * @shared: the generation in the header, NULL: the format has none
 * @generation: the host's own
 * @looked_ms: when @path was looked at last
 * @closed: the region, or its path, is somebody else's, which does not pass
 * @why: @closed in words
 */
struct kring_fence {
	char *path;
	dev_t dev;
	ino_t ino;
	const __le64 *shared;
	uint64_t generation;
	uint64_t looked_ms;
	bool closed;
	char why[192];
};

int kring_fence_open(struct kring_fence *fence, const char *path, int fd,
		     struct kring_error *err);
void kring_fence_own(struct kring_fence *fence, const __le64 *shared, uint64_t generation);
bool kring_fence_look(struct kring_fence *fence, unsigned int period_ms);
bool kring_fenced(struct kring_fence *fence);
void kring_fence_close(struct kring_fence *fence);

/* timer.c */

int kring_timer_open(int epoll, uint32_t event);
void kring_timer_set(int timer, unsigned int first_ms, unsigned int period_ms);
bool kring_timer_expired(int timer);

#endif /* KRING_INTERNAL_H */
