/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The signals that a console catches, out of the loop.
 */
#ifndef KRING_CONSOLE_SIGNALS_H
#define KRING_CONSOLE_SIGNALS_H

#include <stdint.h>

#include <systemd/sd-event.h>

/* INT, TERM, HUP, QUIT, USR1, USR2, WINCH, TSTP, CONT */
#define CONSOLE_SIGNALS		9

/**
 * struct console_signals - begins zeroed
 * @sources: one for each
 * @caught: one of them came
 * @give_up: SIGINT came three times within a second
 * @owner: for both
 * @interrupts: when SIGINT came last and last but one, microseconds
 */
struct console_signals {
	struct sd_event_source *sources[CONSOLE_SIGNALS];
	void (*caught)(void *owner, int number);
	void (*give_up)(void *owner);
	void *owner;
	uint64_t interrupts[2];
};

/*
 * 0 or a negative errno. A terminal that is raw is given back while kring is suspended, and a
 * SIGWINCH is made up when it goes on.
 */
int console_signals_open(struct console_signals *signals, sd_event *loop,
			 void (*caught)(void *owner, int number), void (*give_up)(void *owner),
			 void *owner);

/* SIGINT was typed, where nobody makes a signal of it: it counts for @give_up. */
void console_signals_interrupt(struct console_signals *signals, sd_event *loop);

void console_signals_close(struct console_signals *signals);

#endif /* KRING_CONSOLE_SIGNALS_H */
