/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: a file in the making. It is written under a temporary name in the directory
 * where it is going to be, and takes its own name when it is whole, so that nobody ever
 * sees half of it. With a token, the temporary name is the same the next time, and what was
 * written before an interruption is found again.
 */
#ifndef KRING_PART_H
#define KRING_PART_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Without the 0 at the end. */
#define KRING_TOKEN_MAX	64

/**
 * struct kring_part - one file
 * @dir: directory, the caller's
 * @fd: the file, for reading and writing, mode 0600; -1: there is none
 * @keep: kring_part_close() leaves it, as a token was given
 * @name: its temporary name; empty: it has none yet
 */
struct kring_part {
	int dir;
	int fd;
	bool keep;
	char name[KRING_TOKEN_MAX + 16];
};

/** kring_token_ok() - whether @token is 1 to KRING_TOKEN_MAX of [A-Za-z0-9-] */
bool kring_token_ok(const char *token);

/**
 * kring_part_open() - begin, or go on
 * @part: filled in
 * @dir: directory
 * @token: names it; NULL: nobody goes on with it
 * @size: bytes that are there already
 *
 * Return: 0, -EINVAL: bad token; -EBUSY: somebody is writing it right now; -EEXIST: there is
 * something else of that name; or what the file system says.
 */
int kring_part_open(struct kring_part *part, int dir, const char *token, uint64_t *size);

/** kring_part_name() - see to it that it has a temporary name, so that it can be renamed */
int kring_part_name(struct kring_part *part);

/**
 * kring_part_take() - give it its own name
 * @part: closed with success
 * @name: without a slash
 * @no_replace: -EEXIST where there is a file of that name
 *
 * Return: 0, or a negative errno, and then the part is as it was.
 */
int kring_part_take(struct kring_part *part, const char *name, bool no_replace);

/**
 * kring_part_link() - give it its own name where the file system has no RENAME_NOREPLACE
 *
 * A link never replaces anything. Return: as kring_part_take(), but it stays open.
 */
int kring_part_link(struct kring_part *part, const char *name);

/** kring_part_taken() - somebody else has renamed it: close it and forget it */
void kring_part_taken(struct kring_part *part);

/** kring_part_close() - give up: close it, remove it unless it is to be kept */
void kring_part_close(struct kring_part *part);

#ifdef __cplusplus
}
#endif

#endif /* KRING_PART_H */
