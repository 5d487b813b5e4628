/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Why something was refused: what the host is told in an Error. It is also what a child that
 * cannot become the program writes to its parent, so it has no pointers.
 */
#ifndef KRINGD_FAILURE_H
#define KRINGD_FAILURE_H

/**
 * struct failure - what went wrong
 * @number: errno, positive; 0: nothing
 * @step: what was being done
 * @text: for a person: with what, and why
 */
struct failure {
	int number;
	char step[16];
	char text[300];
};

/* Fills it in; -@number, to be returned. */
int failure_set(struct failure *failure, int number, const char *step, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same for an errno, whose text comes behind @what: "/bin/x: No such file or directory". */
int failure_errno(struct failure *failure, int number, const char *step, const char *what);

#endif /* KRINGD_FAILURE_H */
