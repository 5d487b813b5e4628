/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: the guest's end of a kring, /dev/kring.
 *
 * Frames are read and written where they lie in the region, without a system call; poll() is
 * for sleep alone. Where the device cannot be mapped (AMRB regions, pages larger than the
 * region's, a file that is not open for both), the same verbs work with read() and write(), and
 * a copy. /dev/kring_loop, the host's end of a loopback pair, is used alike.
 *
 * What is mapped is shared with the host, which may change a frame's bytes at any time: copy
 * first what is looked at twice. After an unbind, or when the device goes, touching a mapped frame
 * is SIGBUS, and so is any verb of a mapped device: a program that must outlive that handles the
 * signal, or asks for KRING_DEVICE_COPY.
 *
 * Not locked: one thread at a time. All functions return 0 or what they say, or a negative errno.
 */
#ifndef KRING_DEVICE_H
#define KRING_DEVICE_H

#include "kring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* kring_device_open(): what is claimed, and how. */
#define KRING_DEVICE_READ	0x1	/* the consumer of what comes in */
#define KRING_DEVICE_WRITE	0x2	/* the producer of what goes out */
#define KRING_DEVICE_COPY	0x4	/* read() and write() even where it could be mapped */

struct kring_device;

/**
 * kring_device_open() - open one end of a region
 * @path: /dev/kring, /dev/kring1 ...
 * @flags: KRING_DEVICE_READ, KRING_DEVICE_WRITE or both; a mapping wants both. And
 *	KRING_DEVICE_COPY
 * @dev: the device
 * @err: filled on failure, may be NULL
 *
 * Return: 0, -EBUSY: another open file has that direction, -EINVAL: neither direction, or
 * @path is not a kring, -ENOMEM, or what open() says.
 */
int kring_device_open(const char *path, unsigned int flags, struct kring_device **dev,
		      struct kring_error *err);

/**
 * kring_device_close() - close it; a frame that was not committed is not sent
 * @dev: device, or NULL
 */
void kring_device_close(struct kring_device *dev);

/**
 * kring_device_fd() - what to poll, after kring_device_prepare() said that it may sleep
 * @dev: device; the file descriptor stays its own
 */
int kring_device_fd(const struct kring_device *dev);

/**
 * kring_device_mapped() - whether frames are used where they lie
 * @dev: device
 */
bool kring_device_mapped(const struct kring_device *dev);

/**
 * kring_device_info() - describe the region; its generation counts as seen (POLLPRI)
 * @dev: device
 * @info: as KRING_IOC_INFO has it
 *
 * Return: 0 or -ENODEV.
 */
int kring_device_info(const struct kring_device *dev, struct kring_info *info);

/**
 * kring_device_peek() - the next frame
 * @dev: device, open for reading
 * @payload: its bytes, until kring_device_advance()
 * @len: how many
 *
 * Until kring_device_advance() it is the same frame.
 *
 * Return: 0, -EAGAIN: there is none yet, -EBADMSG: the ring is poisoned, -EBADF: not open for
 * reading, -ENODEV, -ENOMEM.
 */
int kring_device_peek(struct kring_device *dev, const void **payload, size_t *len);

/**
 * kring_device_advance() - the frame is used, and its room the producer's again
 * @dev: device
 *
 * Return: 0, -EINVAL: none was peeked, -ENODEV.
 */
int kring_device_advance(struct kring_device *dev);

/**
 * kring_device_reserve() - room for a frame
 * @dev: device, open for writing
 * @len: bytes of payload, 1 to kring_info.g2h_frame_max
 * @payload: where to write them, until kring_device_commit()
 *
 * A frame that was reserved and not committed is forgotten.
 *
 * Return: 0, -EAGAIN: there is no room yet, -EINVAL: @len is 0, -EMSGSIZE: @len is too large
 * for ever, -EBADMSG: the ring is poisoned, -EBADF: not open for writing, -ENODEV, -ENOMEM.
 */
int kring_device_reserve(struct kring_device *dev, size_t len, void **payload);

/**
 * kring_device_commit() - send what was reserved
 * @dev: device
 * @len: bytes of it, 1 to what was reserved
 *
 * Return: 0, -EINVAL: nothing was reserved, or @len, -EAGAIN: without a mapping only now there
 * turns out to be no room: wait for POLLOUT, and commit again; -EBADMSG, -ENODEV.
 */
int kring_device_commit(struct kring_device *dev, size_t len);

/**
 * kring_device_prepare() - announce what is waited for, before kring_device_fd() is polled
 * @dev: device
 * @events: POLLIN: a frame, POLLOUT: room for the frame that kring_device_reserve() refused
 *	last, or for any frame when it refused none
 *
 * The announcement stands until the next verb of that direction succeeds.
 *
 * Return: those of @events that are ready already: do not sleep; or 0.
 */
int kring_device_prepare(struct kring_device *dev, short events);

/**
 * kring_device_wait() - sleep until there is something to do
 * @dev: device
 * @events: POLLIN, POLLOUT as for kring_device_prepare(); POLLPRI: the generation changed
 * @timeout: in ms; -1: for ever
 *
 * Return: what poll() says of them, and POLLERR (poisoned), POLLHUP (the device is gone); 0:
 * the time is over; -EINTR.
 */
int kring_device_wait(struct kring_device *dev, short events, int timeout);

/**
 * kring_device_reset() - take poisoned rings up again, as the region shows them now
 * @dev: device
 *
 * Return: 0, -EBADMSG: they are nonsense still, -ENODEV.
 */
int kring_device_reset(struct kring_device *dev);

#ifdef __cplusplus
}
#endif

#endif /* KRING_DEVICE_H */
