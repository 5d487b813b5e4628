/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The broker's switch: streams that go on over another connection.
 *
 *	the connection to the guest is lost	switch_clear()
 *	the guest names its streams		switch_orphan(), each
 *	a client names its streams		switch_take(), each, then switch_taken()
 *	nobody comes for the others		switch_give_up()
 */
#ifndef KRING_SWITCH_RESUME_H
#define KRING_SWITCH_RESUME_H

#include <mux.h>

#include "switch.h"

/** switch_port_lost() - the streams of a client that cannot resume end; the guest is not told */
void switch_port_lost(struct switchboard *sb, struct switch_port *port, int error,
		      const char *text);

/**
 * switch_clear() - the connection to the guest is gone: forget all streams, and tell nobody
 *
 * What there still is of them, the guest is going to say.
 */
void switch_clear(struct switchboard *sb);

/**
 * switch_orphan() - the guest has a stream, which is to wait for its client
 * @sb: switch
 * @guest: what it has of it
 *
 * Return: 0; -EINVAL: it is absent, or has no number or no token, so nobody can ask for it;
 * -EEXIST: its number or token is there already; -ENOSPC: there are too many streams; -ENOMEM.
 */
int switch_orphan(struct switchboard *sb, const struct kring_resume *guest);

/**
 * switch_take() - a client asks for a stream that it has had
 * @sb: switch
 * @port: client
 * @client: what it has of it
 *
 * Nothing passes yet: see switch_taken(). Where the client says that it is absent, the guest
 * is told so.
 *
 * Return: 0: it is the client's; -ENOENT: none waits that has this token; -ENOSPC: the client
 * has too many; -EINVAL: it makes no sense.
 */
int switch_take(struct switchboard *sb, struct switch_port *port,
		const struct kring_resume *client);

/**
 * struct switch_news - what both ends are to be told of streams that go on
 * @guest: what the client has, in the ring's numbers; and what it does not have
 * @guest_count: how many
 * @client: what the guest has, in the client's numbers
 * @client_count: how many
 */
struct switch_news {
	struct kring_resume *guest;
	size_t guest_count;
	struct kring_resume *client;
	size_t client_count;
};

/**
 * switch_taken() - a client has asked for all that it has had
 * @sb: switch
 * @port: client
 * @news: filled in, for switch_news_free(); both ends are to be told before anything passes
 *
 * What the guest has opened on behalf of one of these, and the client does not know of, stops
 * waiting: the guest is told that it is absent.
 *
 * Return: 0 or -ENOMEM: nothing has changed.
 */
int switch_taken(struct switchboard *sb, struct switch_port *port, struct switch_news *news);
void switch_news_free(struct switch_news *news);

/** switch_give_up() - nobody comes for those that wait: the guest is told. How many they were */
unsigned int switch_give_up(struct switchboard *sb, int error, const char *text);

#endif /* KRING_SWITCH_RESUME_H */
