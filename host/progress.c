// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One line on a terminal that shows how far a copy is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "printable.h"
#include "progress.h"

#define PERIOD_USEC	200000
#define COLUMNS		80

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
		return COLUMNS;
	return size.ws_col;
}

static const char *bytes_text(char buf[16], double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int i;

	for (i = 0; bytes >= 1000 && i < 5; i++)
		bytes /= 1024;
	snprintf(buf, 16, "%.*f %s", i && bytes < 10 ? 1 : 0, bytes, units[i]);
	return buf;
}

static const char *time_text(char buf[24], uint64_t seconds)
{
	if (seconds >= 100 * 3600)
		snprintf(buf, 24, "long");
	else if (seconds >= 3600)
		snprintf(buf, 24, "%u:%02u:%02u", (unsigned int)seconds / 3600,
			 (unsigned int)seconds / 60 % 60, (unsigned int)seconds % 60);
	else
		snprintf(buf, 24, "%u:%02u", (unsigned int)seconds / 60,
			 (unsigned int)seconds % 60);
	return buf;
}

static void draw(struct progress *p, uint64_t now)
{
	char done[16], total[16], rate_text[16], eta[24], line[256];
	double seconds = (now - p->started) / 1e6;
	double rate = seconds > 0 ? (p->done - p->found) / seconds : 0;
	unsigned int percent = p->total ? p->done * 100.0 / p->total : 100;

	if (percent > 100)
		percent = 100;
	snprintf(line, sizeof(line), "%3u%%  %s of %s  %s/s  ETA %s  %" PRIu64 "/%" PRIu64 "  %s",
		 percent, bytes_text(done, p->done), bytes_text(total, p->total),
		 bytes_text(rate_text, rate),
		 rate >= 1 && p->total >= p->done ?
		 time_text(eta, (p->total - p->done) / rate) : "-",
		 p->files_done, p->files, p->name);
	fprintf(stderr, "\r%.*s\033[K", columns() - 1, line);
	p->drawn = true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct progress *progress = userdata;
	uint64_t now;

	(void)usec;
	sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now);
	draw(progress, now);
	sd_event_source_set_time_relative(source, PERIOD_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void progress_start(struct progress *progress, sd_event *loop)
{
	if (!isatty(STDERR_FILENO))
		return;
	sd_event_now(loop, CLOCK_MONOTONIC, &progress->started);
	if (sd_event_add_time_relative(loop, &progress->timer, CLOCK_MONOTONIC, PERIOD_USEC, 0,
				       on_timer, progress) < 0)
		progress->timer = NULL;
}

void progress_stop(struct progress *progress)
{
	progress_clear(progress);
	progress->timer = sd_event_source_disable_unref(progress->timer);
}

void progress_file(struct progress *progress, const char *path, uint64_t size)
{
	const char *name = strrchr(path, '/');

	progress->files++;
	progress->total += size;
	name = name && name[1] ? name + 1 : path;
	printable(progress->name, sizeof(progress->name), name, strlen(name));
}

void progress_clear(struct progress *progress)
{
	if (!progress->drawn)
		return;
	fputs("\r\033[K", stderr);
	progress->drawn = false;
}
