/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Names of signals. Their numbers are Linux' generic ones on the way to the guest; those of
 * x86-64 and arm64, which the host has as well.
 */
#ifndef KRING_SIGNAL_NAME_H
#define KRING_SIGNAL_NAME_H

/* "TERM", "SIGTERM", "term", "15", "RTMIN+1" as a number; 0: no signal. */
int signal_number(const char *name);

/* "TERM", or "RTMIN+1", or a number, good until the next call. */
const char *signal_name(int number);

#endif /* KRING_SIGNAL_NAME_H */
