/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Quiesce: the guest is got ready to be saved. The hooks of freeze.d are run, any of which may
 * refuse; then nothing of streams is sent any more, and the host is told. Those of thaw.d undo it.
 *
 *	idle
 *	freezing	hooks of freeze.d are run
 *	quiesced	streams are held
 *	thawing		hooks of thaw.d are run, the last one first; then streams go on
 *
 * Streams that the host opens meanwhile wait. Whatever the host does, it is over when the time is
 * that was asked for, or when the guest was restored. Nothing of a snapshot depends on it: without,
 * programs are saved in the midst of what they do, as by a power cut.
 */
#ifndef KRINGD_QUIESCE_H
#define KRINGD_QUIESCE_H

#include "agent.h"
#include "hooks.h"

/* Where kringd has ended in a quiesced guest, this one thaws it. */
void quiesce_init(struct agent *agent);

/* The run ends: a quiesced guest is thawed, when the loop is run on. */
void quiesce_fini(struct agent *agent);

/**
 * quiesce_waits() - whether a stream that the host has opened has to wait
 * @agent: agent
 * @stream: offered
 * @service: that it is for
 * @open: encoded Open; copied
 * @len: its bytes
 *
 * Return: true: it is taken care of; agent_open() is called with it when it may begin, or it was
 * reset.
 */
bool quiesce_waits(struct agent *agent, struct kring_stream *stream, const char *service,
		   const void *open, size_t len);

/* The guest has opened a stream, which may have to wait as well. */
void quiesce_opened(struct agent *agent, struct kring_stream *stream);

/**
 * quiesce_end() - the guest was restored, and is not to be saved any more
 * @agent: agent
 * @event: for hooks; stays until @over
 * @over: it is idle; maybe called from within this function. Streams still wait for
 *	quiesce_release()
 */
void quiesce_end(struct agent *agent, const struct hooks_event *event,
		 void (*over)(struct agent *agent));
void quiesce_release(struct agent *agent);

#endif /* KRINGD_QUIESCE_H */
