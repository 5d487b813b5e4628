// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Asking kring.ko for the console ports that are doorbells.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "discover.h"
#include "log.h"

#define PORTS	"/sys/class/virtio-ports"
#define CLAIM	"/sys/bus/virtio/drivers/kring_vport/claim"

/* What is in the small file @path in @dir, without a newline; -1: nothing. */
static int read_attribute(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -1;
	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static void claim(const char *port, const char *device)
{
	int fd = open(CLAIM, O_WRONLY | O_CLOEXEC);

	/* Without the module there is nobody to ask. */
	if (fd < 0)
		return;
	if (write(fd, device, strlen(device)) < 0)
		log_warning("doorbell %s: kring.ko does not take %s: %s", port, device,
			    strerror(errno));
	else
		log_info("doorbell %s: kring.ko has taken %s from virtio_console", port, device);
	close(fd);
}

void claim_ports(void)
{
	char path[300], name[64], target[PATH_MAX];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	dir = opendir(PORTS);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/name", entry->d_name);
		if (read_attribute(dirfd(dir), path, name, sizeof(name)) ||
		    strncmp(name, "kring.", 6) || !name[6])
			continue;
		/* A link to the virtio device that has the port. */
		snprintf(path, sizeof(path), "%s/device", entry->d_name);
		len = readlinkat(dirfd(dir), path, target, sizeof(target) - 1);
		if (len <= 0)
			continue;
		target[len] = '\0';
		claim(name, basename(target));
	}
	closedir(dir);
}
