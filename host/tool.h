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

/*
 * The status of a program that ran in the guest, which becomes the tool's own. Nothing that
 * the tool says itself is 0x100 or more.
 */
#define TOOL_STATUS(code)	(0x100 | (code))

int cmd_attach(int argc, char **argv, struct kring_error *err);
int cmd_broker(int argc, char **argv, struct kring_error *err);
int cmd_cat(int argc, char **argv, struct kring_error *err);
int cmd_clock(int argc, char **argv, struct kring_error *err);
int cmd_clone(int argc, char **argv, struct kring_error *err);
int cmd_cp(int argc, char **argv, struct kring_error *err);
int cmd_create(int argc, char **argv, struct kring_error *err);
int cmd_events(int argc, char **argv, struct kring_error *err);
int cmd_exec(int argc, char **argv, struct kring_error *err);
int cmd_forward(int argc, char **argv, struct kring_error *err);
int cmd_health(int argc, char **argv, struct kring_error *err);
int cmd_info(int argc, char **argv, struct kring_error *err);
int cmd_kill(int argc, char **argv, struct kring_error *err);
int cmd_log(int argc, char **argv, struct kring_error *err);
int cmd_ping(int argc, char **argv, struct kring_error *err);
int cmd_ps(int argc, char **argv, struct kring_error *err);
int cmd_quiesce(int argc, char **argv, struct kring_error *err);
int cmd_shutdown(int argc, char **argv, struct kring_error *err);
int cmd_stat(int argc, char **argv, struct kring_error *err);
int cmd_thaw(int argc, char **argv, struct kring_error *err);
int cmd_top(int argc, char **argv, struct kring_error *err);

/* main.c: one line on stderr from a sub-command that goes on */
void tool_notice(const char *fmt, ...) TOOL_PRINTF(1, 2);

/* option.c: what is wrong with the command line; all return TOOL_USAGE */
int tool_usage(struct kring_error *err, const char *fmt, ...) TOOL_PRINTF(2, 3);
int tool_bad_option(int opt, char **argv, struct kring_error *err);

/* number.c */
bool parse_bytes(const char *text, uint64_t *bytes);
bool parse_count(const char *text, uint64_t *count);
bool parse_milliseconds(const char *text, uint64_t *milliseconds);

#endif /* KRING_TOOL_H */
