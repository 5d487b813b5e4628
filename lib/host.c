// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The host's end of a region: the producer of h2g and the consumer of g2h, the doorbell,
 * and the rule that no wake-up may be lost.
 *
 * What the caller polls is an epoll instance with the doorbell's socket, the timer that
 * connects it again, and the rescue timer. When a verb answers -EAGAIN, it has announced
 * in the region that the host goes to sleep, and the rescue timer runs. So whatever the
 * guest, the VMM or the socket do, the caller is woken and looks again. It is not woken
 * again and again for what it was told of, though, and chose not to take: else one that
 * only sends would spin while a frame waits. The rescue timer reminds it.
 *
 * The guest can write each byte of the region. Geometry and own cursors are private,
 * copied at attach, and the verbs of <kring/ring.h> check everything else.
 *
 * Somebody else may take over, with a lock that did not hold or a file that took the place
 * of this one. So before a word is written it is asked whether the region is still ours;
 * when it is not, each verb answers -ESTALE from then on.
 *
 * Not locked: one thread at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_RESCUE_MS	100

/* A guest that publishes nothing but skips makes us look again. Not for ever. */
#define LOOKS	3

/* How often the region's path is looked at. */
#define FENCE_MS	1000

enum host_event {
	HOST_EVENT_DOORBELL,
	HOST_EVENT_CONNECT,
	HOST_EVENT_RESCUE,
	HOST_EVENTS,
};

/**
 * struct host_sleep - what the host sleeps for, in one direction
 * @announced: the want field is set
 * @woken: a kick came, or the doorbell was connected, since -EAGAIN was answered last
 */
struct host_sleep {
	bool announced;
	bool woken;
};

struct kring_host {
	struct kring_region region;
	struct kring_producer h2g;
	struct kring_consumer g2h;
	struct host_sleep space;
	struct host_sleep data;
	struct kring_host_stats stats;
	struct kring_fence fence;
	struct kring_doorbell doorbell;
	bool has_doorbell;
	bool rescue_runs;
	unsigned int rescue_ms;
	int rescue;
	int epoll;
	char fault[160];
};

/* Whether the region is somebody else's now. Then the VMM's socket is theirs, too. */
static bool host_fenced(struct kring_host *host)
{
	if (!kring_fenced(&host->fence) && !kring_fence_look(&host->fence, FENCE_MS))
		return false;
	if (host->has_doorbell)
		kring_doorbell_close(&host->doorbell);
	host->has_doorbell = false;
	return true;
}

static void host_kick(struct kring_host *host)
{
	if (host->has_doorbell && !kring_doorbell_kick(&host->doorbell))
		host->stats.kicks_sent++;
	else
		host->stats.kicks_lost++;
}

static void host_kick_if(struct kring_host *host, bool awaited)
{
	if (awaited)
		host_kick(host);
	else
		host->stats.kicks_suppressed++;
}

static void host_woken(struct kring_host *host)
{
	host->data.woken = true;
	host->space.woken = true;
}

/*
 * What was missed while there was no connection, at either end, is made up for. But whoever
 * listens there now may have another region than the one before.
 */
static void host_connected(struct kring_host *host)
{
	kring_fence_look(&host->fence, 0);
	if (host_fenced(host))
		return;
	host->stats.connects++;
	host_kick(host);
	host_woken(host);
}

static void host_rescue_run(struct kring_host *host)
{
	if (host->rescue_runs)
		return;
	host->rescue_runs = true;
	kring_timer_set(host->rescue, host->rescue_ms, host->rescue_ms);
}

/* Make the caller look again at once, when it is about to sleep. */
static void host_look_again(struct kring_host *host)
{
	host->rescue_runs = true;
	kring_timer_set(host->rescue, 0, host->rescue_ms);
}

static void host_sleep_begin(struct kring_host *host, struct host_sleep *sleep)
{
	sleep->announced = true;
	sleep->woken = false;
	host_rescue_run(host);
}

static void host_got_data(struct kring_host *host)
{
	if (!host->data.announced)
		return;
	host->data.announced = false;
	kring_got_data(&host->g2h);
}

static void host_got_space(struct kring_host *host)
{
	if (!host->space.announced)
		return;
	host->space.announced = false;
	kring_got_space(&host->h2g);
}

static void host_drain(struct kring_host *host)
{
	if (!host->has_doorbell || !kring_doorbell_drain(&host->doorbell))
		return;
	host->stats.kicks_received++;
	host_woken(host);
}

static void host_rescued(struct kring_host *host, struct host_sleep *sleep)
{
	sleep->woken = true;
	host->stats.wakeups_rescued++;
}

/*
 * The timer has woken the caller, who looks for itself. Here it is only found out whether
 * a kick was lost. One that is just under way when the timer expires counts as lost too.
 */
static void host_rescue(struct kring_host *host)
{
	if (!kring_timer_expired(host->rescue))
		return;
	if (!host->data.announced && !host->space.announced) {
		host->rescue_runs = false;
		kring_timer_set(host->rescue, 0, 0);
		return;
	}

	host_drain(host);
	if (host->data.announced && !host->data.woken && kring_readable(&host->g2h))
		host_rescued(host, &host->data);
	if (host->space.announced && !host->space.woken && kring_writable(&host->h2g))
		host_rescued(host, &host->space);
}

int kring_host_dispatch(struct kring_host *host)
{
	struct epoll_event events[HOST_EVENTS];
	int i, n;

	if (host_fenced(host))
		return -ESTALE;
	n = epoll_wait(host->epoll, events, HOST_EVENTS, 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;

	for (i = 0; i < n && !host->fence.closed; i++) {
		switch (events[i].data.u32) {
		case HOST_EVENT_DOORBELL:
			host_drain(host);
			break;
		case HOST_EVENT_CONNECT:
			if (kring_timer_expired(host->doorbell.timer) &&
			    kring_doorbell_connect(&host->doorbell))
				host_connected(host);
			break;
		case HOST_EVENT_RESCUE:
			host_rescue(host);
			break;
		}
	}
	return host->fence.closed ? -ESTALE : 0;
}

int kring_host_reserve(struct kring_host *host, size_t len, struct kring_frame *frame)
{
	int err;

	/* From here on the caller writes to the region. */
	if (kring_fenced(&host->fence))
		return -ESTALE;
	if (len > host->h2g.ring.send_max)
		return host->h2g.fault ? -EBADMSG : -EMSGSIZE;

	err = kring_reserve(&host->h2g, len, frame);
	if (err == -EAGAIN) {
		if (kring_unsubmitted(&host->h2g))
			kring_host_submit(host);
		if (host_fenced(host))
			return -ESTALE;
		if (!kring_want_space(&host->h2g)) {
			host_sleep_begin(host, &host->space);
			return -EAGAIN;
		}
		/* It fits by the tail that was seen just now, or that was nonsense. */
		host->space.announced = true;
		err = kring_reserve(&host->h2g, len, frame);
	}
	if (!err || err == -EBADMSG)
		host_got_space(host);
	return err;
}

void kring_host_commit(struct kring_host *host, const struct kring_frame *frame)
{
	kring_commit(&host->h2g, frame);
	host->stats.frames_sent++;
	host->stats.bytes_sent += frame->len;
}

void kring_host_submit(struct kring_host *host)
{
	if (host_fenced(host))
		return;
	host_kick_if(host, kring_submit(&host->h2g));
}

/* Bytes of all of @iov, or SIZE_MAX when that is more than there can be. */
static size_t iov_size(const struct iovec *iov, int count)
{
	size_t size = 0;
	int i;

	for (i = 0; i < count; i++)
		if (__builtin_add_overflow(size, iov[i].iov_len, &size))
			return SIZE_MAX;
	return size;
}

int kring_host_sendv(struct kring_host *host, const struct iovec *iov, int count)
{
	struct kring_frame frame;
	uint8_t *to;
	int err, i;

	err = kring_host_reserve(host, iov_size(iov, count), &frame);
	if (err)
		return err;
	to = frame.payload;
	/* An empty place may have no address at all. */
	for (i = 0; i < count; i++)
		if (iov[i].iov_len)
			to = mempcpy(to, iov[i].iov_base, iov[i].iov_len);
	kring_host_commit(host, &frame);
	kring_host_submit(host);
	return host->fence.closed ? -ESTALE : 0;
}

int kring_host_send(struct kring_host *host, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return kring_host_sendv(host, &iov, 1);
}

int kring_host_flush(struct kring_host *host)
{
	struct kring_producer *p = &host->h2g;

	if (host_fenced(host))
		return -ESTALE;
	if (p->fault)
		return -EBADMSG;
	/* All of it free: that is when the guest has taken everything. */
	p->want = p->ring.size;
	if (!kring_writable(p) && !kring_want_space(p)) {
		host_sleep_begin(host, &host->space);
		return -EAGAIN;
	}
	p->want = 0;
	host->space.announced = true;
	host_got_space(host);
	return p->fault ? -EBADMSG : 0;
}

int kring_host_peek(struct kring_host *host, struct kring_frame *frame)
{
	int err, i;

	if (kring_fenced(&host->fence))
		return -ESTALE;
	for (i = 0; i < LOOKS; i++) {
		err = kring_peek(&host->g2h, frame);
		if (err != -EAGAIN) {
			host_got_data(host);
			return err;
		}
		if (kring_unreleased(&host->g2h))
			kring_host_release(host);
		if (host_fenced(host))
			return -ESTALE;
		if (!kring_want_data(&host->g2h)) {
			host_sleep_begin(host, &host->data);
			return -EAGAIN;
		}
		host->data.announced = true;
	}
	host_sleep_begin(host, &host->data);
	host_look_again(host);
	return -EAGAIN;
}

void kring_host_advance(struct kring_host *host, const struct kring_frame *frame)
{
	kring_advance(&host->g2h, frame);
	host->stats.frames_received++;
	host->stats.bytes_received += frame->len;
}

void kring_host_release(struct kring_host *host)
{
	if (host_fenced(host))
		return;
	host_kick_if(host, kring_release(&host->g2h));
}

ssize_t kring_host_recvv(struct kring_host *host, const struct iovec *iov, int count)
{
	struct kring_frame frame;
	const uint8_t *from;
	size_t left, n;
	int err, i;

	err = kring_host_peek(host, &frame);
	if (err)
		return err;
	if (frame.len > iov_size(iov, count))
		return -EMSGSIZE;
	from = frame.payload;
	left = frame.len;
	for (i = 0; left; i++) {
		n = iov[i].iov_len < left ? iov[i].iov_len : left;
		if (!n)
			continue;
		memcpy(iov[i].iov_base, from, n);
		from += n;
		left -= n;
	}
	kring_host_advance(host, &frame);
	kring_host_release(host);
	/* Not given back, it is the next owner's. */
	return host->fence.closed ? -ESTALE : (ssize_t)frame.len;
}

ssize_t kring_host_recv(struct kring_host *host, void *buf, size_t size)
{
	struct iovec iov = { .iov_base = buf, .iov_len = size };

	return kring_host_recvv(host, &iov, 1);
}

int kring_host_fd(const struct kring_host *host)
{
	return host->epoll;
}

size_t kring_host_frame_max(const struct kring_host *host)
{
	return host->h2g.ring.send_max;
}

uint32_t kring_host_pending(struct kring_host *host)
{
	if (!host->h2g.fault)
		kring_load_tail(&host->h2g);
	return host->h2g.head - host->h2g.tail;
}

uint32_t kring_host_head(const struct kring_host *host)
{
	return host->h2g.head;
}

uint64_t kring_host_generation(const struct kring_host *host)
{
	return host->fence.generation;
}

static const struct kring_header *host_native(const struct kring_host *host)
{
	const struct kring_region *region = &host->region;

	return region->layout.format == KRING_FORMAT_NATIVE ? &region->header.native : NULL;
}

uint64_t kring_host_restored(const struct kring_host *host)
{
	const struct kring_header *h = host_native(host);

	return h ? le64_to_cpu(h->restored) : 0;
}

bool kring_host_uuid(const struct kring_host *host, uint8_t *uuid)
{
	const struct kring_header *h = host_native(host);

	if (h)
		memcpy(uuid, h->uuid, sizeof(h->uuid));
	return h;
}

const char *kring_host_fault(struct kring_host *host)
{
	const char *h2g = host->h2g.fault;
	const char *g2h = host->g2h.fault;

	if (host->fence.closed)
		return host->fence.why;
	if (!h2g && !g2h)
		return NULL;
	snprintf(host->fault, sizeof(host->fault), "%s%s%s%s%s",
		 h2g ? "h2g is poisoned: " : "", h2g ? h2g : "", h2g && g2h ? "; " : "",
		 g2h ? "g2h is poisoned: " : "", g2h ? g2h : "");
	return host->fault;
}

void kring_host_stats(const struct kring_host *host, struct kring_host_stats *stats)
{
	*stats = host->stats;
}

bool kring_host_connected(const struct kring_host *host)
{
	return host->has_doorbell && host->doorbell.sock >= 0;
}

static int host_attach_rings(struct kring_host *host, struct kring_error *err)
{
	struct kring_region *region = &host->region;
	struct kring_ring h2g, g2h;

	kring_layout_rings(&region->layout, region->base, &h2g, &g2h);
	if (kring_producer_attach(&host->h2g, &h2g))
		return kring_error_path(err, -EBADMSG, region->path, "h2g: %s (head %u, tail %u)",
					host->h2g.fault, host->h2g.head, host->h2g.tail);
	if (kring_consumer_attach(&host->g2h, &g2h))
		return kring_error_path(err, -EBADMSG, region->path, "g2h: %s (head %u, tail %u)",
					host->g2h.fault, host->g2h.head, host->g2h.tail);

	/* Its last owner may have died in its sleep. */
	kring_got_space(&host->h2g);
	kring_got_data(&host->g2h);
	return 0;
}

static void host_bump_generation(struct kring_host *host)
{
	struct kring_header *shared = host->region.base;
	uint64_t generation;

	if (host->region.layout.format != KRING_FORMAT_NATIVE)
		return;
	generation = le64_to_cpu(host->region.header.native.generation) + 1;
	WRITE_ONCE(shared->generation, cpu_to_le64(generation));
	kring_fence_own(&host->fence, &shared->generation, generation);
}

int kring_host_attach(struct kring_host **hostp, const struct kring_attach_args *args,
		      struct kring_error *err)
{
	struct kring_host *host;
	int code;

	host = calloc(1, sizeof(*host));
	if (!host)
		return kring_error(err, -ENOMEM, "%s", strerror(ENOMEM));
	host->rescue_ms = args->rescue_ms ? args->rescue_ms : DEFAULT_RESCUE_MS;

	/* Owned before it is looked at: what the owner before has left must not move. */
	code = kring_region_open(&host->region, args->region, O_RDWR, err);
	if (code)
		goto free_host;
	code = kring_owner_lock(host->region.fd, LOCK_EX, args->region, err);
	if (code)
		goto close_region;
	code = kring_fence_open(&host->fence, args->region, host->region.fd, err);
	if (code)
		goto unlock;
	code = kring_region_load(&host->region, err);
	if (!code)
		code = kring_region_map(&host->region, err);
	if (!code)
		code = host_attach_rings(host, err);
	if (code)
		goto close_fence;

	host->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (host->epoll < 0) {
		code = kring_error(err, -errno, "epoll: %s", strerror(errno));
		goto close_fence;
	}
	host->rescue = kring_timer_open(host->epoll, HOST_EVENT_RESCUE);
	if (host->rescue < 0) {
		code = kring_error(err, host->rescue, "timerfd: %s", strerror(-host->rescue));
		goto close_epoll;
	}
	if (args->doorbell) {
		code = kring_doorbell_open(&host->doorbell, args->doorbell, host->epoll,
					   HOST_EVENT_DOORBELL, HOST_EVENT_CONNECT, err);
		if (code)
			goto close_rescue;
		host->has_doorbell = true;
	}

	/* The generation before the kick, which is what tells the guest to look. */
	host_bump_generation(host);
	host->region.path = NULL;
	if (kring_host_connected(host))
		host_connected(host);
	host_look_again(host);
	*hostp = host;
	return 0;

close_rescue:
	close(host->rescue);
close_epoll:
	close(host->epoll);
close_fence:
	kring_fence_close(&host->fence);
unlock:
	kring_owner_unlock(host->region.fd);
close_region:
	kring_region_close(&host->region);
free_host:
	free(host);
	return code;
}

void kring_host_detach(struct kring_host *host)
{
	if (!host)
		return;
	/* Nobody sleeps here any more; what the guest would kick for, the next owner sees. */
	if (!host_fenced(host)) {
		host_got_data(host);
		host_got_space(host);
	}
	if (host->has_doorbell)
		kring_doorbell_close(&host->doorbell);
	close(host->rescue);
	close(host->epoll);
	kring_fence_close(&host->fence);
	kring_owner_unlock(host->region.fd);
	kring_region_close(&host->region);
	free(host);
}
