/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A pseudo terminal, for one program.
 */
#ifndef KRINGD_TERMINAL_H
#define KRINGD_TERMINAL_H

#include <stdint.h>
#include <sys/types.h>

/**
 * terminal_open() - make one
 * @rows: its size; 0: 24, no program copes with a terminal that has none
 * @columns: 0: 80
 * @master: this end, non-blocking
 * @slave: the program's end
 *
 * Return: 0 or a negative errno.
 */
int terminal_open(uint32_t rows, uint32_t columns, int *master, int *slave);

/* What is 0 stays as it is. The kernel tells the program. */
void terminal_resize(int master, uint32_t rows, uint32_t columns);

/* The process group in the foreground, 0: none. */
pid_t terminal_foreground(int master);

/* The character that means end of file when it is typed; -1: none. */
int terminal_eof_character(int master);

#endif /* KRINGD_TERMINAL_H */
