/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of the kring tool share.
 *
 * A sub-command does not print errors: it fills in a struct kring_error and returns an
 * exit status, and main() prints. An empty text is a failure that is not worth a line.
 */
#ifndef KRING_TOOL_H
#define KRING_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include <kring.h>

#define KRING_TOOL_VERSION	"0.1"

#define TOOL_PRINTF(fmt, args)	__attribute__((format(printf, fmt, args)))

enum tool_status {
	TOOL_DONE,
	TOOL_FAILED,
	TOOL_USAGE,
};

int cmd_cat(int argc, char **argv, struct kring_error *err);
int cmd_create(int argc, char **argv, struct kring_error *err);
int cmd_stat(int argc, char **argv, struct kring_error *err);

/* main.c: one line on stderr from a sub-command that goes on */
void tool_notice(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* option.c: what is wrong with the command line; all return TOOL_USAGE */
int tool_usage(struct kring_error *err, const char *fmt, ...) TOOL_PRINTF(2, 3);
int tool_bad_option(int opt, char **argv, struct kring_error *err);

/* number.c */
bool parse_bytes(const char *text, uint64_t *bytes);
bool parse_count(const char *text, uint64_t *count);

#endif /* KRING_TOOL_H */
