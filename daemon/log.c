// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What an operator reads. A console or a pipe that nobody empties must not stop the agent:
 * lines that do not go out at once are lost, and counted. What hosts send may be part of a
 * line, so nothing but printable characters goes out.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LOG_LINE_MAX	1024

/* Lines a second, where nobody has asked for all that there are (debug). */
#define LOG_RATE	100

static int log_level = LOG_INFO;

void log_set_level(int level)
{
	log_level = level;
}

/* Whether stderr is the journal; what it is does not change. */
static bool log_is_journal(void)
{
	static int known = -1;
	unsigned long dev, ino;
	const char *stream;
	struct stat st;

	if (known < 0) {
		stream = getenv("JOURNAL_STREAM");
		known = stream && sscanf(stream, "%lu:%lu", &dev, &ino) == 2 &&
			!fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
	}
	return known;
}

/*
 * A terminal that has room for one byte would wait until it has taken all, unless it is open
 * in another way. As others have it as their stderr, too, it is opened anew.
 */
static int log_file(void)
{
	static int terminal = -1;

	if (terminal < 0 && isatty(STDERR_FILENO))
		terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return terminal < 0 ? STDERR_FILENO : terminal;
}

static bool log_write(const char *line, size_t len)
{
	struct pollfd pfd = { .fd = log_file(), .events = POLLOUT };

	if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
		return false;
	return write(pfd.fd, line, len) == (ssize_t)len;
}

/* Whether there were too many lines in this second: whoever causes them may do so without end. */
static bool log_flooded(void)
{
	static unsigned int lines;
	static time_t second;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != second) {
		second = now.tv_sec;
		lines = 0;
	}
	return lines++ >= LOG_RATE;
}

/* @text, made printable, with a newline. */
static bool log_put(int level, const char *text)
{
	char line[LOG_LINE_MAX + 16];
	size_t len, i;

	if (log_is_journal())
		len = snprintf(line, sizeof(line), "<%d>", level);
	else
		len = snprintf(line, sizeof(line), "kringd: ");
	for (i = 0; text[i] && len < sizeof(line) - 1; i++) {
		unsigned char c = text[i];

		line[len++] = c < 0x20 || c >= 0x7f ? '?' : c;
	}
	line[len++] = '\n';
	return log_write(line, len);
}

void log_line(int level, const char *fmt, ...)
{
	static unsigned long lost;
	char text[LOG_LINE_MAX];
	va_list args;

	if (level > log_level)
		return;
	if (log_level < LOG_DEBUG && log_flooded()) {
		lost++;
		return;
	}
	if (lost) {
		snprintf(text, sizeof(text), "%lu lines were lost here", lost);
		if (!log_put(LOG_WARNING, text)) {
			lost++;
			return;
		}
		lost = 0;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!log_put(level, text))
		lost++;
}
