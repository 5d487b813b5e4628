/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The person's terminal. There is one, so its state is the process'; whatever ends the process
 * leaves it as it was found, short of SIGKILL.
 */
#ifndef KRING_TERMINAL_H
#define KRING_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* Size of whichever of stdout, stdin and stderr is a terminal; false: none is. */
bool terminal_size(uint32_t *rows, uint32_t *columns);

/* Pass on all that is typed to stdin, as it is. 0 or a negative errno. */
int terminal_raw(void);

/* As it was found. Nothing happens where it is not raw. */
void terminal_restore(void);

bool terminal_is_raw(void);

#endif /* KRING_TERMINAL_H */
