// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The signals that a console catches.
 *
 * One that was ignored when kring was started, as by nohup, stays ignored.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

#include "console_signals.h"
#include "terminal.h"

#define GIVE_UP_USEC	1000000

static const int caught[CONSOLE_SIGNALS] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT,
};

/* As the kernel would do it, but with the terminal as it was found. */
static void suspend(struct console_signals *signals)
{
	bool raw = terminal_is_raw();

	terminal_restore();
	raise(SIGSTOP);
	if (raw)
		terminal_raw();
	signals->caught(signals->owner, SIGWINCH);
}

static bool gives_up(struct console_signals *signals, uint64_t now)
{
	bool third = signals->interrupts[1] && now - signals->interrupts[1] < GIVE_UP_USEC;

	signals->interrupts[1] = signals->interrupts[0];
	signals->interrupts[0] = now;
	return third;
}

void console_signals_interrupt(struct console_signals *signals, sd_event *loop)
{
	uint64_t now = 0;

	sd_event_now(loop, CLOCK_MONOTONIC, &now);
	if (gives_up(signals, now))
		signals->give_up(signals->owner);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct console_signals *signals = userdata;
	uint64_t now;

	switch (info->ssi_signo) {
	case SIGTSTP:
		suspend(signals);
		return 0;
	case SIGCONT:
		/* Stopped by somebody else, the size may have changed meanwhile. */
		signals->caught(signals->owner, SIGWINCH);
		return 0;
	case SIGINT:
		sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now);
		if (gives_up(signals, now)) {
			signals->give_up(signals->owner);
			return 0;
		}
		break;
	}
	signals->caught(signals->owner, info->ssi_signo);
	return 0;
}

int console_signals_open(struct console_signals *signals, sd_event *loop,
			 void (*on_caught)(void *owner, int number),
			 void (*give_up)(void *owner), void *owner)
{
	struct sigaction found;
	sigset_t set;
	int i, code;

	signals->caught = on_caught;
	signals->give_up = give_up;
	signals->owner = owner;
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < CONSOLE_SIGNALS; i++) {
		if (!sigaction(caught[i], NULL, &found) && found.sa_handler == SIG_IGN)
			continue;
		sigemptyset(&set);
		sigaddset(&set, caught[i]);
		if (sigprocmask(SIG_BLOCK, &set, NULL))
			return -errno;
		code = sd_event_add_signal(loop, &signals->sources[i], caught[i], on_signal,
					   signals);
		if (code < 0)
			return code;
	}
	return 0;
}

void console_signals_close(struct console_signals *signals)
{
	int i;

	for (i = 0; i < CONSOLE_SIGNALS; i++)
		signals->sources[i] = sd_event_source_disable_unref(signals->sources[i]);
}
