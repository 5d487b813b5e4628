/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The console of a session: this process' stdin, stdout, stderr, terminal and signals, as if
 * the program in the guest had been started right here.
 */
#ifndef KRING_CONSOLE_H
#define KRING_CONSOLE_H

#include "client.h"
#include "detach_keys.h"

/* Exit statuses that are not the program's; as of docker, env(1) and timeout(1). */
#define CONSOLE_TIMED_OUT	124
#define CONSOLE_FAILED		125
#define CONSOLE_NOT_EXECUTED	126
#define CONSOLE_NOT_FOUND	127
#define CONSOLE_SIGNALLED	128

#define CONSOLE_STATUS_HELP \
	"Exit status:\n" \
	"  that of the program; or\n" \
	"  124    it was ended by --timeout\n" \
	"  125    kring has failed: no such guest or session, the connection was lost ...\n" \
	"  126    the program was found, and cannot be executed\n" \
	"  127    the program was not found\n" \
	"  128+N  it was ended by signal N; or kring was, which ends the program too\n"

/**
 * struct console_args - what is wanted of it
 * @service: "exec" or "attach"
 * @request: its message
 * @with_stdin: pass stdin on
 * @on_fork: what becomes of it in a forked child of the VM
 * @detach: leave as soon as the session has started, and print its number
 * @keys: detach keys
 */
struct console_args {
	const char *service;
	const ProtobufCMessage *request;
	bool with_stdin;
	Kring__ForkPolicy on_fork;
	bool detach;
	struct detach_keys keys;
};

/**
 * console_run() - open the session, and stay until it ends
 * @client_args: where the guest is
 * @args: what is wanted
 * @err: filled where it fails
 *
 * Return: TOOL_DONE, TOOL_FAILED, or the program's TOOL_STATUS().
 */
int console_run(const struct client_args *client_args, const struct console_args *args,
		struct kring_error *err);

#endif /* KRING_CONSOLE_H */
