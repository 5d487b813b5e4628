/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What one end of a conversation knows and has seen. It is a file that is mapped: a program
 * that takes over finds what the one before it knew, and whoever compares reads it.
 */
#ifndef COMPARE_LEDGER_H
#define COMPARE_LEDGER_H

#include <stdint.h>

#define LEDGER_RANGES	1024

/**
 * struct range - bytes of one direction, by their position
 * @from: the first
 * @to: behind the last
 */
struct range {
	uint64_t from;
	uint64_t to;
};

/**
 * struct ranges - those that were written, or that arrived, in that order
 * @count: of @range; the last one grows
 * @range: a new one begins where a position does not follow the one before
 */
struct ranges {
	uint64_t count;
	struct range range[LEDGER_RANGES];
};

/**
 * struct ledger - all of it
 * @mark: when the VM was restored, CLOCK_MONOTONIC nanoseconds; set by whoever compares
 * @first: when the first byte came afterwards that was not known yet
 * @echo: when the first byte came that answers one written afterwards
 * @marked: what had been written when the mark was seen
 * @pid: the program that holds the ledger
 * @epoch: of the last hello
 * @have: all bytes of the other end's up to here have arrived
 * @greetings: hellos that were answered, behind a new connection
 * @resyncs: those that were answered later, on the same connection
 * @breaks: connections that ended, or would not take or give bytes any more
 * @unknown: bytes that arrived and were never sent
 * @overflow: a struct ranges was full, and nothing here is to be believed
 * @done: the conversation has come to its end
 * @status: exit status of the command that was the connection at that end; 128 + its signal
 * @wrote: what the connection has taken
 * @got: what has arrived
 */
struct ledger {
	uint64_t mark;
	uint64_t first;
	uint64_t echo;
	uint64_t marked;
	uint64_t pid;
	uint64_t epoch;
	uint64_t have;
	uint64_t greetings;
	uint64_t resyncs;
	uint64_t breaks;
	uint64_t unknown;
	uint64_t overflow;
	uint64_t done;
	uint64_t status;
	struct ranges wrote;
	struct ranges got;
};

/**
 * ledger_open() - map the file, and take it over from the program that holds it
 *
 * That program is told to end, and waited for. NULL: errno says why.
 */
struct ledger *ledger_open(const char *path);

void ledger_wrote(struct ledger *l, uint64_t from, uint64_t to);
void ledger_got(struct ledger *l, uint64_t from, uint64_t to);

/** ledger_written() - the end of what has been written by the last one */
uint64_t ledger_written(const struct ledger *l);

/** ledger_print() - name=value, a line each; wrote and got as FROM-TO */
int ledger_print(const char *path);

#endif /* COMPARE_LEDGER_H */
