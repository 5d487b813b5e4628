// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "info": what the guest is, and how it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "services.h"
#include "sessions.h"

#define COUNTERS_MAX	64

/**
 * struct info - an answer that is being put together
 * @message: the answer
 * @counters: of @message
 * @list: pointers to @counters
 * @names: of @counters
 * @uts: name and release
 * @os: PRETTY_NAME
 * @boot_id: as the kernel has it
 */
struct info {
	Kring__Info message;
	Kring__Counter counters[COUNTERS_MAX];
	struct Kring__Counter *list[COUNTERS_MAX];
	char names[COUNTERS_MAX][40];
	struct utsname uts;
	char os[128];
	char boot_id[64];
};

/* The start of the file @path in @dir, as a string; 0 or -1. */
static int read_text(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	buf[0] = '\0';
	if (fd < 0)
		return -1;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -1;
	buf[len] = '\0';
	return 0;
}

static void add_counter(struct info *info, const char *name, uint64_t value)
{
	size_t i = info->message.n_counters;
	Kring__Counter *counter = &info->counters[i];

	if (i == COUNTERS_MAX)
		return;
	snprintf(info->names[i], sizeof(info->names[i]), "%.39s", name);
	kring__counter__init(counter);
	counter->name = info->names[i];
	counter->value = value;
	info->list[i] = counter;
	info->message.n_counters = i + 1;
}

/* What the driver counts. */
static void add_ring(struct info *info, const struct agent *agent)
{
	char path[64], text[32];
	struct dirent *entry;
	DIR *dir;

	if (!agent->sysfs[0])
		return;
	snprintf(path, sizeof(path), "%s/stats", agent->sysfs);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    !read_text(dirfd(dir), entry->d_name, text, sizeof(text)))
			add_counter(info, entry->d_name, strtoull(text, NULL, 10));
	closedir(dir);
}

static void add_streams(struct info *info, const struct agent *agent)
{
	struct kring_mux_stats stats;

	kring_mux_stats(agent->mux, &stats);
	info->message.streams = stats.streams;
	add_counter(info, "mux_frames_sent", stats.frames_sent);
	add_counter(info, "mux_frames_received", stats.frames_received);
	add_counter(info, "mux_bytes_sent", stats.bytes_sent);
	add_counter(info, "mux_bytes_received", stats.bytes_received);
	add_counter(info, "mux_streams_opened", stats.streams_opened);
	add_counter(info, "mux_streams_accepted", stats.streams_accepted);
	add_counter(info, "mux_streams_refused", stats.streams_refused);
	add_counter(info, "mux_resets_sent", stats.resets_sent);
	add_counter(info, "mux_resets_received", stats.resets_received);
	add_counter(info, "mux_strange", stats.strange);
	add_counter(info, "mux_memory", stats.memory);
}

/* PRETTY_NAME of os-release(5), without its quotes. */
static void read_os(char *os, size_t size)
{
	char text[2048], *name, *end;

	*os = '\0';
	if (read_text(AT_FDCWD, "/etc/os-release", text, sizeof(text)) &&
	    read_text(AT_FDCWD, "/usr/lib/os-release", text, sizeof(text)))
		return;
	name = strncmp(text, "PRETTY_NAME=", 12) ? strstr(text, "\nPRETTY_NAME=") : text;
	if (!name)
		return;
	name = strchr(name, '=') + 1;
	end = name + strcspn(name, "\n");
	if (end > name + 1 && (*name == '"' || *name == '\'') && end[-1] == *name) {
		name++;
		end--;
	}
	snprintf(os, size, "%.*s", (int)(end - name), name);
}

static void fill_system(struct info *info)
{
	Kring__Info *message = &info->message;
	char text[1024];
	const char *at;

	uname(&info->uts);
	message->hostname = info->uts.nodename;
	message->kernel = info->uts.release;
	message->machine = info->uts.machine;
	read_os(info->os, sizeof(info->os));
	message->os = info->os;

	read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", info->boot_id,
		  sizeof(info->boot_id));
	message->boot_id.data = (uint8_t *)info->boot_id;
	message->boot_id.len = strcspn(info->boot_id, "\n");

	message->uptime = clock_now(CLOCK_BOOTTIME);
	message->clock = clock_now(CLOCK_REALTIME);

	read_text(AT_FDCWD, "/proc/meminfo", text, sizeof(text));
	at = strstr(text, "MemTotal:");
	if (at)
		message->memory_total = strtoull(at + 9, NULL, 10) * 1024;
	at = strstr(text, "MemAvailable:");
	if (at)
		message->memory_available = strtoull(at + 13, NULL, 10) * 1024;
	message->cpus = get_nprocs();
	read_text(AT_FDCWD, "/proc/loadavg", text, sizeof(text));
	message->load = strtod(text, NULL);
}

static uint32_t count_fds(void)
{
	uint32_t count = 0;
	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	/* Without ".", ".." and this directory's own. */
	return count > 3 ? count - 3 : 0;
}

static void fill_agent(struct info *info, const struct agent *agent)
{
	Kring__Info *message = &info->message;
	unsigned long size, rss;
	char text[128];

	message->agent = (char *)KRINGD_AGENT;
	message->generation = agent->hello.generation;
	message->sessions = agent->sessions->count;
	read_text(AT_FDCWD, "/proc/self/statm", text, sizeof(text));
	if (sscanf(text, "%lu %lu", &size, &rss) == 2)
		message->agent_rss = (uint64_t)rss * sysconf(_SC_PAGESIZE);
	message->agent_fds = count_fds();
	message->services = (char **)agent->allowed;
	while (agent->allowed[message->n_services])
		message->n_services++;
}

static void info_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct info *info = calloc(1, sizeof(*info));

	(void)request;
	if (!info || kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "info", "out of memory");
		free(info);
		return;
	}
	kring__info__init(&info->message);
	info->message.counters = info->list;
	fill_system(info);
	fill_agent(info, agent);
	add_ring(info, agent);
	add_streams(info, agent);
	kring_close(stream, &info->message.base);
	free(info);
}

const struct service service_info = {
	.name = "info",
	.open = info_open,
};
