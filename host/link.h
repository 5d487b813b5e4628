/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A link: frames to and from whoever is next on the way to the guest, over a region or over a
 * SOCK_SEQPACKET socket, one frame a message.
 *
 * Nothing here blocks. link_send() and link_recv() go on until -EAGAIN; from then on, and only
 * then, @ready is called once each time that it is worth to try again, either or both.
 */
#ifndef KRING_LINK_H
#define KRING_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include <kring.h>

struct link;

/**
 * typedef link_ready_fn - try link_recv() and link_send() again
 * @link: link
 * @code: 0, or a negative errno: it is broken for good. To be closed, also from here
 * @owner: as given to link_watch()
 */
typedef void (*link_ready_fn)(struct link *link, int code, void *owner);

/**
 * struct link_type - what differs between the kinds of links; all are called by link.c
 * @send: as link_send()
 * @recv: as link_recv()
 * @flush: as link_flush(); NULL: there is nothing to do
 * @dispatch: @fd was found ready; NULL: there is nothing to do
 * @fault: as link_fault()
 * @close: free what is the type's own, and the link
 * @events: epoll events to wait for on @fd
 */
struct link_type {
	int (*send)(struct link *link, const void *frame, size_t len);
	ssize_t (*recv)(struct link *link, void *buf, size_t size);
	void (*flush)(struct link *link);
	int (*dispatch)(struct link *link);
	const char *(*fault)(struct link *link, int code);
	void (*close)(struct link *link);
	uint32_t events;
};

/**
 * struct link - the part that all have, first member of the type's own
 * @type: functions
 * @fd: to wait on
 * @frame_max: longest frame that can be sent, KRING_STREAM_FRAME_MAX at most
 * @io: source of @fd
 * @again: source of link_again()
 * @ready: whom to call
 * @owner: its
 */
struct link {
	const struct link_type *type;
	int fd;
	size_t frame_max;
	sd_event_source *io;
	sd_event_source *again;
	link_ready_fn ready;
	void *owner;
};

/**
 * link_region() - own the host's end of a region
 * @link: the new one
 * @region: path
 * @doorbell: socket of its console port, or NULL
 * @err: filled on failure
 *
 * Return: 0, -EBUSY: it has an owner, -EMSGSIZE: too small for frames of streams, or another
 * negative errno.
 */
int link_region(struct link **link, const char *region, const char *doorbell,
		struct kring_error *err);

/** link_region_host() - the region's handle, for its counters and generation; of a region only */
struct kring_host *link_region_host(struct link *link);

/**
 * link_connect() - connect to a broker's socket, or to that of kringd --listen
 * @link: the new one
 * @path: socket
 * @timeout: milliseconds that it may take, where the other side does not accept; 0: none
 * @err: filled on failure
 */
int link_connect(struct link **link, const char *path, uint64_t timeout,
		 struct kring_error *err);

/** link_socket() - a connected SOCK_SEQPACKET socket, which becomes the link's; 0 or -ENOMEM */
int link_socket(struct link **link, int fd);

/** link_watch() - call @ready from @loop, the first time soon; 0 or a negative errno */
int link_watch(struct link *link, sd_event *loop, link_ready_fn ready, void *owner);

/** link_again() - have @ready called soon: there was more, but others are to have their turn */
void link_again(struct link *link);

/**
 * link_send() - send one frame
 *
 * Return: 0; -EAGAIN: not yet; -EMSGSIZE: longer than @frame_max; else it is broken. The other
 * side need not see it before link_flush().
 */
int link_send(struct link *link, const void *frame, size_t len);

/**
 * link_recv() - receive one frame, into private memory
 *
 * Return: its bytes; -EAGAIN: none has come; -EMSGSIZE: one longer than @size has come, and
 * was dropped; -ECONNRESET: the other side has gone; else it is broken.
 */
ssize_t link_recv(struct link *link, void *buf, size_t size);

/** link_flush() - at the end of a batch of sends and receives: let the other side know */
void link_flush(struct link *link);

/** link_fault() - why it is broken, in words, good until the next call */
const char *link_fault(struct link *link, int code);

/** link_close() - NULL is allowed */
void link_close(struct link *link);

#endif /* KRING_LINK_H */
