/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkring: the host's end of a kring.
 *
 * All functions return 0 or a count, or a negative errno; none prints. Those that take a
 * struct kring_error also fill in one line for a person, without a newline.
 */
#ifndef KRING_H
#define KRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/kring.h>
#include <kring/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct kring_error - what went wrong, in words */
struct kring_error {
	char text[256];
};

/*
 * Regions
 */

/* Bytes of a region when nothing else is asked for. */
#define KRING_REGION_DEFAULT_SIZE	(4ULL << 20)

/**
 * struct kring_create_args - what a new region is to be like
 * @size: bytes of the whole region, a multiple of @granule; 0: the default. Both rings get
 *	the same power of two of bytes, the largest that fits.
 * @name: as kring_name_ok() has it; NULL: "default"
 * @granule: 4096, 16384 or 65536; 0: 4096. At least the guest's page size, or the guest
 *	cannot map the region
 * @format: KRING_FORMAT_NATIVE, or KRING_FORMAT_AMRB: without name and granule; @size is
 *	that of the file then, which may be larger than the region, to be whole pages
 */
struct kring_create_args {
	uint64_t size;
	const char *name;
	uint32_t granule;
	enum kring_format format;
};

/**
 * kring_create() - make a region file, mode 0600
 * @path: must not exist
 * @args: what it is to be like; NULL: all defaults
 * @err: filled on failure, may be NULL
 *
 * The file appears whole under its name, or not at all.
 *
 * Return: 0, -EEXIST, -EINVAL (size, name or granule; @err says which), or what the file
 * system says.
 */
int kring_create(const char *path, const struct kring_create_args *args,
		 struct kring_error *err);

/**
 * kring_format() - write a header into memory that the caller has mapped
 * @base: @size bytes, zeroed (a memfd, for a VMM that holds the region itself)
 * @size: bytes there are
 * @args: @args->size is ignored
 * @err: filled on failure, may be NULL
 *
 * Return: 0 or -EINVAL.
 */
int kring_format(void *base, uint64_t size, const struct kring_create_args *args,
		 struct kring_error *err);

/**
 * struct kring_clone_args - what the copy of a region is to be like
 * @fork: the VM that was saved may go on, or others are made of it: a new uuid
 * @force: also when somebody owns the saved region's host end. Right only while nobody
 *	moves its cursors: the VM is paused, and the owner is, or has nothing to do.
 */
struct kring_clone_args {
	bool fork;
	bool force;
};

/**
 * kring_clone() - make the region of a restored VM, from what was saved of the first one's
 * @from: the saved region, which stays as it is
 * @to: where the region is to be; what is there is replaced, and a host that has it open is
 *	fenced
 * @args: what it is to be like; NULL: all false
 * @err: filled on failure, may be NULL
 *
 * The generation is one more than the saved one, and noted as that of a restore, so that
 * whoever attaches knows. The AMRB format has neither, nor a uuid: it is only copied. Holes
 * stay holes. The file appears whole under its name, mode 0600, or the old one stays.
 *
 * Return: 0, -EBUSY: @from has an owner (@err names it), what kring_header_check() returns,
 * or what the file system says.
 */
int kring_clone(const char *from, const char *to, const struct kring_clone_args *args,
		struct kring_error *err);

/**
 * struct kring_ring_stat - one ring, as the region shows it
 * @size: bytes of data
 * @offset: of the producer's cursor in the region
 * @head: producer's cursor
 * @tail: consumer's cursor
 * @in_flight: bytes published and not released, with headers and padding
 * @want_space: bytes that the producer sleeps for, 0: it does not
 * @want_data: not 0: the consumer sleeps
 * @corrupt: the cursors are nonsense, and @in_flight is 0
 */
struct kring_ring_stat {
	uint32_t size;
	uint64_t offset;
	uint32_t head;
	uint32_t tail;
	uint32_t in_flight;
	uint32_t want_space;
	uint32_t want_data;
	bool corrupt;
};

/**
 * struct kring_stat - a region, as it is at one moment
 * @layout: what the header says
 * @generation: as in the header
 * @restored: as in the header
 * @features: as in the header
 * @uuid: as in the header
 * @owner: process that owns the host's end, 0: nobody, -1: somebody whose process cannot
 *	be told, or whether there is one cannot be told
 * @h2g: host-to-guest ring
 * @g2h: guest-to-host ring
 */
struct kring_stat {
	struct kring_layout layout;
	uint64_t generation;
	uint64_t restored;
	uint64_t features;
	uint8_t uuid[KRING_UUID_LEN];
	pid_t owner;
	struct kring_ring_stat h2g;
	struct kring_ring_stat g2h;
};

/**
 * kring_stat() - look at a region without touching it
 * @path: region, in use or a copy from a dead VM
 * @st: what it shows
 * @err: filled on failure, may be NULL
 *
 * Return: 0, what kring_header_check() returns, or what the file system says.
 */
int kring_stat(const char *path, struct kring_stat *st, struct kring_error *err);

/*
 * The host's end
 *
 * Somebody else may take it over: a host whose generation in the header has changed, or
 * whose region's path leads to another file, is fenced. It publishes nothing more, leaves
 * the doorbell, and all its verbs answer -ESTALE; kring_host_fault() says why. Detach, and
 * attach to what is there now.
 */

/** struct kring_host - the host's end of one region, owned by one process */
struct kring_host;

/**
 * struct kring_attach_args - how to take up the host's end
 * @region: path of the region
 * @doorbell: unix socket that leads to the console port; NULL: no doorbell, the timer alone
 * @rescue_ms: period of the timer that looks for lost kicks while the host sleeps; 0: 100
 */
struct kring_attach_args {
	const char *region;
	const char *doorbell;
	unsigned int rescue_ms;
};

/**
 * kring_host_attach() - adopt a region: own its host end
 * @host: the new owner's handle
 * @args: which region, which doorbell
 * @err: filled on failure, may be NULL
 *
 * Locks the file, adds one to the generation, kicks once and looks once. The doorbell's
 * socket need not be there yet: it is connected to, and again whenever it is lost, from
 * kring_host_dispatch().
 *
 * A handle is for one thread at a time. Whoever truncates the file while it is mapped makes
 * its owner die of SIGBUS: give the file to nobody who is not trusted that far. The guest
 * has the memory, and not the file.
 *
 * Return: 0, -EBUSY: another process owns it (@err names it), -EBADMSG: the cursors are
 * nonsense, -ESTALE: the file was replaced just now, what kring_header_check() returns, or
 * what the file system says.
 */
int kring_host_attach(struct kring_host **host, const struct kring_attach_args *args,
		      struct kring_error *err);

/** kring_host_detach() - let the region go; NULL is allowed */
void kring_host_detach(struct kring_host *host);

/**
 * kring_host_fd() - what to poll for POLLIN before sleeping
 * @host: handle
 *
 * Readable when kring_host_dispatch() has something to do. After -EAGAIN from
 * kring_host_recv(), _peek(), _send(), _reserve() or _flush(): poll it, dispatch, try again.
 * Who does not try again is told again by the rescue timer only.
 *
 * Return: a file descriptor that stays @host's.
 */
int kring_host_fd(const struct kring_host *host);

/**
 * kring_host_dispatch() - handle kicks, the doorbell's connection and the timer
 * @host: handle
 *
 * Never blocks. Return: 0, -ESTALE: this host is fenced, or another negative errno that is
 * not going to pass.
 */
int kring_host_dispatch(struct kring_host *host);

/**
 * kring_host_send() - send one frame
 * @host: handle
 * @buf: payload
 * @len: 1 to kring_host_frame_max() bytes
 *
 * Return: 0, -EAGAIN: no room yet, -EINVAL: @len is 0, -EMSGSIZE: too large for ever,
 * -EBADMSG: the ring is poisoned, -ESTALE: this host is fenced (kring_host_fault() says
 * why).
 */
int kring_host_send(struct kring_host *host, const void *buf, size_t len);

/**
 * kring_host_sendv() - send one frame, gathered from several places
 * @host: handle
 * @iov: where from
 * @count: how many
 *
 * Return: as kring_host_send().
 */
int kring_host_sendv(struct kring_host *host, const struct iovec *iov, int count);

/**
 * kring_host_recv() - receive one frame
 * @host: handle
 * @buf: where to
 * @size: bytes there
 *
 * Return: bytes of the frame, -EAGAIN: none waits, -EMSGSIZE: it is larger than @size, and
 * stays, -EBADMSG: the ring is poisoned, -ESTALE: this host is fenced.
 */
ssize_t kring_host_recv(struct kring_host *host, void *buf, size_t size);

/**
 * kring_host_recvv() - receive one frame, scattered to several places
 * @host: handle
 * @iov: where to
 * @count: how many
 *
 * Return: as kring_host_recv().
 */
ssize_t kring_host_recvv(struct kring_host *host, const struct iovec *iov, int count);

/**
 * kring_host_reserve() - room for one frame, in the region
 * @host: handle
 * @len: bytes of payload
 * @frame: write to @frame->payload, then kring_host_commit(). Never read it back: the guest
 *	may write there too.
 *
 * Return: as kring_host_send().
 */
int kring_host_reserve(struct kring_host *host, size_t len, struct kring_frame *frame);

/**
 * kring_host_commit() - the reserved frame is filled
 * @host: handle
 * @frame: from kring_host_reserve(), with the same or a lower @frame->len, not 0
 *
 * May be repeated, reserve and commit, for a batch; the guest sees none of it before
 * kring_host_submit(), or before a kring_host_reserve() that finds no room.
 */
void kring_host_commit(struct kring_host *host, const struct kring_frame *frame);

/**
 * kring_host_submit() - publish what was committed, and kick once if the guest sleeps
 * @host: handle
 *
 * A fenced host's is never published; the next verb says so.
 */
void kring_host_submit(struct kring_host *host);

/**
 * kring_host_peek() - the next frame, in the region
 * @host: handle
 * @frame: copy what is to be checked: the guest may change it at any time. For the next
 *	owner it stays the next frame until kring_host_release().
 *
 * Return: 0, -EAGAIN, -EBADMSG or -ESTALE, as kring_host_recv().
 */
int kring_host_peek(struct kring_host *host, struct kring_frame *frame);

/**
 * kring_host_advance() - the peeked frame is used
 * @host: handle
 * @frame: from kring_host_peek()
 *
 * May be repeated, peek and advance, for a batch; its bytes stay until
 * kring_host_release(), or until a kring_host_peek() that finds nothing.
 */
void kring_host_advance(struct kring_host *host, const struct kring_frame *frame);

/** kring_host_release() - give room back, and kick once if the guest waits for it */
void kring_host_release(struct kring_host *host);

/** kring_host_frame_max() - the largest payload that kring_host_send() takes */
size_t kring_host_frame_max(const struct kring_host *host);

/** kring_host_pending() - bytes sent that the guest has not taken yet */
uint32_t kring_host_pending(struct kring_host *host);

/**
 * kring_host_flush() - find out whether the guest has taken all that was sent
 * @host: handle
 *
 * Ask last before sleeping: sending another frame takes the announcement back.
 *
 * Return: 0: it has, -EAGAIN: not yet, and kring_host_fd() is readable when it has,
 * -EBADMSG or -ESTALE.
 */
int kring_host_flush(struct kring_host *host);

/** kring_host_head() - cursor behind the last frame that was sent, mod 2^32 */
uint32_t kring_host_head(const struct kring_host *host);

/** kring_host_generation() - as this attach has made it */
uint64_t kring_host_generation(const struct kring_host *host);

/** kring_host_restored() - generation that the last restore or fork has made; 0: none was */
uint64_t kring_host_restored(const struct kring_host *host);

/**
 * kring_host_uuid() - the region's identity, as it was at attach
 * @host: handle
 * @uuid: KRING_UUID_LEN bytes, to fill
 *
 * Return: false: the region's format has none.
 */
bool kring_host_uuid(const struct kring_host *host, uint8_t *uuid);

/**
 * kring_host_fault() - why a ring is poisoned, or this host fenced
 * @host: handle
 *
 * Return: "another host has taken over: generation N", "the region at PATH is another file
 * now"; else "h2g is poisoned: WHY", "g2h is poisoned: WHY", both with "; " between, or NULL;
 * valid until the next call.
 */
const char *kring_host_fault(struct kring_host *host);

/**
 * struct kring_host_stats - counters since attach
 * @frames_sent: frames
 * @frames_received: frames
 * @bytes_sent: bytes of payload
 * @bytes_received: bytes of payload
 * @kicks_sent: bytes written to the doorbell
 * @kicks_suppressed: publishes that needed no kick
 * @kicks_lost: kicks that could not be sent, as the doorbell was not connected
 * @kicks_received: times that bytes were read from the doorbell
 * @wakeups_rescued: times that the timer found what no kick had told of
 * @connects: times that the doorbell was connected
 */
struct kring_host_stats {
	uint64_t frames_sent;
	uint64_t frames_received;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t kicks_sent;
	uint64_t kicks_suppressed;
	uint64_t kicks_lost;
	uint64_t kicks_received;
	uint64_t wakeups_rescued;
	uint64_t connects;
};

/** kring_host_stats() - read the counters */
void kring_host_stats(const struct kring_host *host, struct kring_host_stats *stats);

/** kring_host_connected() - whether the doorbell is connected now */
bool kring_host_connected(const struct kring_host *host);

#ifdef __cplusplus
}
#endif

#endif /* KRING_H */
