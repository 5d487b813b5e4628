/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The keys that leave a session on a terminal, and let it go on: ctrl-p ctrl-q as docker has
 * them. What has been typed of them is held back until it is clear that it is something else.
 */
#ifndef KRING_DETACH_KEYS_H
#define KRING_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define DETACH_KEYS_MAX		8
#define DETACH_KEYS_DEFAULT	"ctrl-p,ctrl-q"

/** struct detach_keys - the sequence, and how much of it has been typed */
struct detach_keys {
	char keys[DETACH_KEYS_MAX];
	size_t count;
	size_t typed;
};

/* "ctrl-p,ctrl-q", "a", "" (none): whether it makes sense. */
bool detach_keys_parse(struct detach_keys *keys, const char *text);

/**
 * detach_keys_filter() - look at what has been typed
 * @keys: sequence
 * @in: bytes
 * @len: how many
 * @out: what is to be passed on, up to @len + DETACH_KEYS_MAX bytes
 * @found: set when the sequence is complete; what was typed behind it is dropped
 *
 * Return: bytes in @out.
 */
size_t detach_keys_filter(struct detach_keys *keys, const char *in, size_t len, char *out,
			  bool *found);

#endif /* KRING_DETACH_KEYS_H */
