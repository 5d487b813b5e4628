// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "list": what is in a directory. As many entries as a directory has, there is
 * never more than one in our own memory: it goes on when the host has taken the last ones.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_info.h"
#include "path.h"
#include "services.h"

/* Entries at a time, so that others have their turn too. */
#define ENTRIES		64

/**
 * struct list - one listing
 * @job: the next turn
 * @loop: event loop
 * @stream: where the entries go to
 * @dir: directory
 * @path: its path, for errors
 * @name: entry that had no room any more; empty: none
 */
struct list {
	struct loop_job job;
	struct loop *loop;
	struct kring_stream *stream;
	DIR *dir;
	char *path;
	char name[256];
};

static struct list *list_of_job(struct loop_job *job)
{
	return (struct list *)((char *)job - offsetof(struct list, job));
}

static void list_free(struct list *list)
{
	loop_unqueue(list->loop, &list->job);
	if (list->dir)
		closedir(list->dir);
	free(list->path);
	free(list);
}

static void list_fail(struct list *list, int code)
{
	path_refuse(list->stream, code, "list", list->path, NULL);
	list_free(list);
}

/* 1: there is one; 0: there are no more. */
static int next_name(struct list *list)
{
	struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(list->dir);
		if (!entry)
			return -errno;
	} while (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."));
	if (strlen(entry->d_name) >= sizeof(list->name))
		return -ENAMETOOLONG;
	strcpy(list->name, entry->d_name);
	return 1;
}

/* 1: went out; 0: there is nothing more; -EAGAIN: no room. */
static int list_one(struct list *list)
{
	struct file_info file;
	int code;

	if (!list->name[0]) {
		code = next_name(list);
		if (code <= 0)
			return code;
	}
	code = file_info_read(&file, dirfd(list->dir), list->name, false);
	/* What nobody may look at, such as a mount whose server has gone, is there all the same. */
	if (code && code != -ENOENT) {
		kring__file_info__init(&file.info);
		file.info.name.data = (uint8_t *)list->name;
		file.info.name.len = strlen(list->name);
		code = 0;
	}
	/* What has gone meanwhile is not in the directory. */
	if (!code)
		code = kring_control(list->stream, &file.info.base);
	if (code && code != -ENOENT)
		return code;
	list->name[0] = '\0';
	return 1;
}

static void list_run(struct loop_job *job)
{
	struct list *list = list_of_job(job);
	int code, i;

	for (i = 0; i < ENTRIES; i++) {
		code = list_one(list);
		if (code == -EAGAIN)
			return;
		if (code < 0) {
			list_fail(list, code);
			return;
		}
		if (!code) {
			kring_close(list->stream, NULL);
			list_free(list);
			return;
		}
	}
	loop_queue(list->loop, &list->job);
}

static void list_writable(struct kring_stream *stream, unsigned int channel)
{
	struct list *list = kring_stream_owner(stream);

	(void)channel;
	loop_queue(list->loop, &list->job);
}

static void list_reset(struct kring_stream *stream, const void *error, size_t len)
{
	(void)error;
	(void)len;
	list_free(kring_stream_owner(stream));
}

static const struct kring_stream_ops list_ops = {
	.writable = list_writable,
	.reset = list_reset,
};

static int list_start(struct list *list, const Kring__List *request)
{
	int code, fd;

	code = path_get(&list->path, &request->path);
	if (code)
		return code;
	fd = open(list->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	list->dir = fdopendir(fd);
	if (!list->dir) {
		code = -errno;
		close(fd);
		return code;
	}
	return kring_accept(list->stream, NULL, 0);
}

static void list_open(struct agent *agent, struct kring_stream *stream, const void *request)
{
	struct list *list = calloc(1, sizeof(*list));
	int code;

	if (!list) {
		path_refuse(stream, -ENOMEM, "list", NULL, NULL);
		return;
	}
	list->job.run = list_run;
	list->loop = &agent->loop;
	list->stream = stream;
	code = list_start(list, request);
	if (code) {
		list_fail(list, code);
		return;
	}
	kring_stream_set_ops(stream, &list_ops, list);
	loop_queue(list->loop, &list->job);
}

const struct service service_list = {
	.name = "list",
	.request = &kring__list__descriptor,
	.open = list_open,
};
