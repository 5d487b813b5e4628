// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What all links have in common: their place in the event loop.
 */
#include <errno.h>

#include "link.h"

static void link_try(struct link *link)
{
	int code = link->type->dispatch ? link->type->dispatch(link) : 0;

	link->ready(link, code, link->owner);
}

static int link_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source;
	(void)fd;
	(void)revents;
	link_try(userdata);
	return 0;
}

static int link_on_again(sd_event_source *source, void *userdata)
{
	(void)source;
	link_try(userdata);
	return 0;
}

int link_watch(struct link *link, sd_event *loop, link_ready_fn ready, void *owner)
{
	int code;

	link->ready = ready;
	link->owner = owner;
	code = sd_event_add_io(loop, &link->io, link->fd, link->type->events, link_on_io, link);
	if (code < 0)
		return code;
	code = sd_event_add_defer(loop, &link->again, link_on_again, link);
	return code < 0 ? code : 0;
}

void link_again(struct link *link)
{
	sd_event_source_set_enabled(link->again, SD_EVENT_ONESHOT);
}

int link_send(struct link *link, const void *frame, size_t len)
{
	return len > link->frame_max ? -EMSGSIZE : link->type->send(link, frame, len);
}

ssize_t link_recv(struct link *link, void *buf, size_t size)
{
	return link->type->recv(link, buf, size);
}

void link_flush(struct link *link)
{
	if (link->type->flush)
		link->type->flush(link);
}

const char *link_fault(struct link *link, int code)
{
	return link->type->fault(link, code);
}

void link_close(struct link *link)
{
	if (!link)
		return;
	sd_event_source_disable_unref(link->io);
	sd_event_source_disable_unref(link->again);
	link->type->close(link);
}
