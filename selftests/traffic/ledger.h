/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Ledger: what the host's end has sent and received, in a mapped file, so that whoever
 * adopts the region after a SIGKILL goes on with the right frame.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdint.h>

#include "pattern.h"

/**
 * struct ledger - outlives the process that writes it
 * @sent: frames that are in the ring for sure
 * @sending: @sent + 1 while one is being published: it is in the ring if the ring's head
 *	is not @head any more
 * @head: before that frame
 * @tally: frames received; written before the frame's room is given back, so after a kill
 *	in between the last one comes again
 *
 * Stores must reach the memory in order, so that a kill finds the earlier ones done: each
 * has release semantics.
 */
struct ledger {
	uint64_t sent;
	uint64_t sending;
	uint32_t head;
	struct tally tally;
};

/* Map the ledger at @path, made where there is none. Return: it, or NULL with errno set. */
struct ledger *ledger_open(const char *path);

#endif /* LEDGER_H */
