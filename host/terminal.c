// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The person's terminal.
 *
 * Signals that end the tool in an orderly way come through its loop. For those that do not,
 * such as SIGSEGV, or SIGBUS where somebody truncates the region, there is a handler.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"

static struct termios terminal_found;
static atomic_bool terminal_raw_now;

bool terminal_size(uint32_t *rows, uint32_t *columns)
{
	static const int fds[] = { STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO };
	struct winsize size;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (ioctl(fds[i], TIOCGWINSZ, &size))
			continue;
		/* A serial line does not know its size. */
		*rows = size.ws_row ? size.ws_row : 24;
		*columns = size.ws_col ? size.ws_col : 80;
		return true;
	}
	return false;
}

/*
 * Async-signal-safe. From the background, setting a terminal stops whoever does it, and it is
 * somebody else's by then, who has set it already.
 */
void terminal_restore(void)
{
	if (!terminal_raw_now)
		return;
	terminal_raw_now = false;
	if (tcgetpgrp(STDIN_FILENO) == getpgrp())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_found);
}

static void terminal_crash(int number)
{
	terminal_restore();
	/* The handler is gone with this call, so that now it is deadly. */
	raise(number);
}

static void terminal_guard(void)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, 0 };
	struct sigaction action = {
		.sa_handler = terminal_crash,
		.sa_flags = SA_RESETHAND | SA_NODEFER,
	};
	static bool guarded;
	unsigned int i;

	if (guarded)
		return;
	guarded = true;
	atexit(terminal_restore);
	for (i = 0; deadly[i]; i++)
		sigaction(deadly[i], &action, NULL);
}

int terminal_raw(void)
{
	struct termios raw;

	if (terminal_raw_now)
		return 0;
	if (tcgetattr(STDIN_FILENO, &terminal_found))
		return -errno;
	raw = terminal_found;
	cfmakeraw(&raw);
	terminal_guard();
	terminal_raw_now = true;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)) {
		terminal_raw_now = false;
		return -errno;
	}
	return 0;
}

bool terminal_is_raw(void)
{
	return terminal_raw_now;
}
