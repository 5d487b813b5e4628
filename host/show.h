/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sub-commands that show the text of one stream.
 */
#ifndef KRING_SHOW_H
#define KRING_SHOW_H

#include "client.h"

/**
 * struct show_args - what is shown
 * @client: where the guest is
 * @name: of the sub-command, for errors
 * @service: whose channel 0 is the text
 * @request: message, may be NULL
 * @again: the service is the broker's: open it again when the connection was lost
 */
struct show_args {
	const struct client_args *client;
	const char *name;
	const char *service;
	const ProtobufCMessage *request;
	bool again;
};

/**
 * show_text() - copy a stream's text to stdout, to its end, control characters as escapes on
 * a terminal
 * @args: which
 * @err: filled on failure, but not when stdout was closed, as kring log | head has it
 *
 * Return: an exit status.
 */
int show_text(const struct show_args *args, struct kring_error *err);

#endif /* KRING_SHOW_H */
