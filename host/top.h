/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What broker.stat has said at one moment, and how it is shown by kring top.
 */
#ifndef KRING_TOP_H
#define KRING_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kring/agent.pb-c.h>

/** struct top_row - one stream */
struct top_row {
	uint64_t stream;
	uint64_t client;
	uint64_t pid;
	uint64_t to_guest;
	uint64_t to_host;
	bool from_guest;
	char service[32];
};

/**
 * struct top_view - one moment; begins zeroed
 * @time: CLOCK_MONOTONIC, nanoseconds
 * @rows: streams
 * @count: how many
 * @room: how many @rows has room for
 * @info: the broker's own counters, NULL: they have not come
 */
struct top_view {
	uint64_t time;
	struct top_row *rows;
	size_t count;
	size_t room;
	Kring__Info *info;
};

/* A stream that the broker has told of. 0 or a negative errno. */
int top_add(struct top_view *view, const Kring__Info *info);
void top_clear(struct top_view *view);

/* Show it; rates are since @before, which may be empty. @lines: of the terminal, 0: any. */
void top_print(const struct top_view *view, const struct top_view *before, unsigned int lines);
void top_print_json(const struct top_view *view, const struct top_view *before);

#endif /* KRING_TOP_H */
