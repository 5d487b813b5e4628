/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Memory that outlives the agent: the sessions' records and the logs of their output, in one
 * file (memfd_create(2)), which systemd keeps for the next agent in its store of file
 * descriptors (FileDescriptorStoreMax=, sd_pid_notify_with_fds(3)).
 *
 * With it systemd keeps a pipe, of which nothing is ever read. Keepers (keeper.h) see its end
 * when neither an agent nor systemd has it open any more: then nobody comes for the session.
 *
 * Where nobody keeps it, all is the same but for that.
 */
#ifndef KRINGD_STORE_H
#define KRINGD_STORE_H

#include "session_record.h"

/**
 * store_init() - take over what the agent before has left, or begin anew
 * @sessions: records that are needed
 *
 * Return: 0 or a negative errno.
 */
int store_init(unsigned int sessions);
void store_fini(void);

/* Whether it outlives this process. */
bool store_is_kept(void);

/* Largest number of a session that there was. */
uint64_t store_last(void);
void store_set_last(uint64_t number);

/* A record that is not in use, to be initialised; NULL: there is none. */
struct session_record *store_add(void);

/* It is not used any more, and its log goes. */
void store_remove(struct session_record *record);

/* The record in use behind @record, or the first one for NULL; NULL: no more. */
struct session_record *store_next(const struct session_record *record);

/* The place of the log of an output. */
void store_init_log(const struct session_record *record, unsigned int channel,
		    struct output_log *log, struct output_mark *mark);

/* What a keeper polls for POLLHUP; the store's. */
int store_life(void);

#endif /* KRINGD_STORE_H */
