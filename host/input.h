/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * stdin, on its way to channel 0 of a stream. It is read only as there is room, so whatever
 * the program in the guest does not take stays with whoever writes to stdin.
 */
#ifndef KRING_INPUT_H
#define KRING_INPUT_H

#include <systemd/sd-event.h>

#include <mux.h>

#include "detach_keys.h"
#include "stdio_fd.h"

/* Read at once from a terminal, where keys are looked for. */
#define TYPED_CHUNK	1024

/**
 * struct input - stdin of a stream; begins zeroed
 * @from: where bytes come from
 * @stream: where they go to, NULL: nowhere any more
 * @io: source of @from, where it can be polled
 * @turn: source that reads on, where it cannot be
 * @keys: looked for, where stdin is a terminal; NULL: not
 * @detach: called when they were typed
 * @typed: called with all that was typed, where there are @keys
 * @owner: for both
 * @rest: what was typed and could not be sent yet
 * @rest_len: its bytes
 */
struct input {
	struct stdio_fd from;
	struct kring_stream *stream;
	sd_event_source *io;
	sd_event_source *turn;
	struct detach_keys *keys;
	void (*detach)(void *owner);
	void (*typed)(void *owner, const char *bytes, size_t len);
	void *owner;
	char rest[TYPED_CHUNK + DETACH_KEYS_MAX];
	size_t rest_len;
};

/* 0 or a negative errno. @keys, @detach, @typed and @owner are to be set before. */
int input_start(struct input *input, sd_event *loop, struct kring_stream *stream);

/* There is room on the channel again. */
void input_writable(struct input *input);

/* Leave the stream alone: it is over, or nothing more is to be sent. */
void input_stop(struct input *input);
void input_close(struct input *input);

#endif /* KRING_INPUT_H */
