/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One line on a terminal's stderr that shows how far a copy is. Elsewhere there is none.
 */
#ifndef KRING_PROGRESS_H
#define KRING_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

/**
 * struct progress - how far it is; begins zeroed
 * @timer: draws; NULL: nothing is shown
 * @drawn: there is a line on the terminal
 * @total: bytes of all files that are known of
 * @done: of those, copied or found to be there
 * @found: of @done, those that were there
 * @files: known of
 * @files_done: of those
 * @started: when, microseconds
 * @name: file that was begun last
 */
struct progress {
	sd_event_source *timer;
	bool drawn;
	uint64_t total;
	uint64_t done;
	uint64_t found;
	uint64_t files;
	uint64_t files_done;
	uint64_t started;
	char name[64];
};

/* Nothing is shown where stderr is no terminal, or where there is no memory. */
void progress_start(struct progress *progress, sd_event *loop);
void progress_stop(struct progress *progress);

/* A file of @size bytes was begun. */
void progress_file(struct progress *progress, const char *path, uint64_t size);

/* Takes the line away, for another to be written. */
void progress_clear(struct progress *progress);

#endif /* KRING_PROGRESS_H */
