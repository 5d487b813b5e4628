// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The broker's switch: streams that go on over another connection.
 *
 * The guest names those that it has. Each waits as an orphan, until a client names its token,
 * which is what shows that it is the client's; then both ends are told what the other one has.
 * A client is told, and has others told, only when it has named all that it has: until then
 * numbers of the guest's that it uses may still come up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch_internal.h"

/* Tokens are random where they are honest. */
static struct switch_chain *token_chain(struct switchboard *sb, const uint8_t *token)
{
	uint32_t hash;

	memcpy(&hash, token, sizeof(hash));
	return &sb->by_token[hash & (SWITCH_CHAINS - 1)];
}

static struct switch_stream *find_token(struct switchboard *sb, const uint8_t *token)
{
	struct switch_stream *s;

	LIST_FOREACH(s, token_chain(sb, token), by_port)
		if (!memcmp(s->ends->guest.token, token, KRING_TOKEN_LEN))
			break;
	return s;
}

void switch_orphan_leave(struct switchboard *sb, struct switch_stream *s)
{
	TAILQ_REMOVE(&sb->orphans, s, link);
	LIST_REMOVE(s, by_port);
	sb->stats.waiting--;
}

int switch_orphan(struct switchboard *sb, const struct kring_resume *guest)
{
	struct switch_stream *s;

	if (!guest->number || guest->absent || !kring_resume_has_token(guest))
		return -EINVAL;
	if (switch_find_ring(sb, guest->number) || find_token(sb, guest->token))
		return -EEXIST;
	if (sb->stats.streams >= sb->args.streams_max)
		return -ENOSPC;
	s = calloc(1, sizeof(*s));
	if (s)
		s->ends = calloc(1, sizeof(*s->ends));
	if (!s || !s->ends) {
		free(s);
		return -ENOMEM;
	}
	s->ring = guest->number;
	s->parent = guest->parent;
	s->from_guest = !(guest->number & 1);
	s->ends->guest = *guest;
	LIST_INSERT_HEAD(switch_ring_chain(sb, s->ring), s, by_ring);
	LIST_INSERT_HEAD(token_chain(sb, guest->token), s, by_port);
	TAILQ_INSERT_TAIL(&sb->orphans, s, link);
	sb->stats.streams++;
	sb->stats.waiting++;
	return 0;
}

/* The guest is to be told that it is over. */
static void end_orphan(struct switchboard *sb, struct switch_stream *s, int error,
		       const char *text)
{
	switch_orphan_leave(sb, s);
	free(s->ends);
	s->ends = NULL;
	s->reset_number = error;
	s->reset_text = text;
	TAILQ_INSERT_TAIL(&sb->ending, s, link);
}

unsigned int switch_give_up(struct switchboard *sb, int error, const char *text)
{
	struct switch_stream *s;
	unsigned int count = 0;

	for (; (s = TAILQ_FIRST(&sb->orphans)); count++)
		end_orphan(sb, s, error, text);
	sb->stats.given_up += count;
	return count;
}

/* What each side may send goes on from where the other one is. */
static void bind_stream(struct switchboard *sb, struct switch_stream *s,
			struct switch_port *port, const struct kring_resume *client)
{
	unsigned int i;

	switch_orphan_leave(sb, s);
	s->ends->client = *client;
	for (i = 0; i < SWITCH_CHANNELS; i++) {
		s->channels[i].next = client->channels[i].received;
		s->channels[i].limit = client->channels[i].limit;
		s->channels[i].ended = client->channels[i].ended;
	}
	s->host_closed = s->ends->guest.closed;
	s->guest_closed = client->closed;
	switch_join(sb, s, port, client->number);
	switch_event(sb, s, SWITCH_RESUMED, NULL);
}

int switch_take(struct switchboard *sb, struct switch_port *port,
		const struct kring_resume *client)
{
	/* None waits under the token that is none. */
	struct switch_stream *s = find_token(sb, client->token);
	uint32_t number = client->number;

	if (!number)
		return -EINVAL;
	if (client->absent) {
		if (s)
			end_orphan(sb, s, ECONNRESET, "the client does not have it any more");
		return 0;
	}
	if (switch_find_port(sb, port, number) || (s && (s->ring ^ number) & 1))
		return -EINVAL;
	if (!(number & 1) && number >= port->next_even)
		port->next_even = number + 2;
	if (!s)
		return -ENOENT;
	if (port->count - port->refused >= sb->args.port_streams_max)
		return -ENOSPC;
	bind_stream(sb, s, port, client);
	return 0;
}

static const struct switch_stream *find_parent(struct switchboard *sb,
					       const struct switch_stream *s)
{
	return s->parent ? switch_find_ring(sb, s->parent) : NULL;
}

/* The guest has opened it for a stream of @port, and that client has not heard of it. */
static bool is_unknown(struct switchboard *sb, const struct switch_port *port,
		       const struct switch_stream *s)
{
	const struct switch_stream *parent = find_parent(sb, s);

	return parent && parent->port == port;
}

static int news_init(struct switch_news *news, size_t guest, size_t client)
{
	memset(news, 0, sizeof(*news));
	/* Never empty, so that NULL is an error. */
	news->guest = calloc(guest + 1, sizeof(*news->guest));
	news->client = calloc(client + 1, sizeof(*news->client));
	if (news->guest && news->client)
		return 0;
	switch_news_free(news);
	return -ENOMEM;
}

void switch_news_free(struct switch_news *news)
{
	free(news->guest);
	free(news->client);
	memset(news, 0, sizeof(*news));
}

static void tell(struct switchboard *sb, struct switch_news *news, const struct switch_stream *s)
{
	const struct switch_stream *parent = find_parent(sb, s);
	struct kring_resume *to;

	to = &news->guest[news->guest_count++];
	*to = s->ends->client;
	to->number = s->ring;
	to->parent = s->parent;
	to = &news->client[news->client_count++];
	*to = s->ends->guest;
	to->number = s->number;
	to->parent = parent && parent->port == s->port ? parent->number : 0;
}

static void tell_absent(struct switch_news *news, const struct switch_stream *s)
{
	struct kring_resume *to = &news->guest[news->guest_count++];

	to->number = s->ring;
	to->absent = true;
}

int switch_taken(struct switchboard *sb, struct switch_port *port, struct switch_news *news)
{
	struct switch_stream *s, *next;
	size_t taken = 0, unknown = 0;

	TAILQ_FOREACH(s, &port->streams, link)
		taken += !!s->ends;
	TAILQ_FOREACH(s, &sb->orphans, link)
		unknown += is_unknown(sb, port, s);
	if (news_init(news, taken + unknown, taken))
		return -ENOMEM;

	for (s = TAILQ_FIRST(&sb->orphans); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!is_unknown(sb, port, s))
			continue;
		tell_absent(news, s);
		switch_remove(sb, s);
	}
	TAILQ_FOREACH(s, &port->streams, link)
		if (s->ends)
			tell(sb, news, s);
	TAILQ_FOREACH(s, &port->streams, link) {
		free(s->ends);
		s->ends = NULL;
	}
	return 0;
}

void switch_port_lost(struct switchboard *sb, struct switch_port *port, int error,
		      const char *text)
{
	struct switch_stream *s, *next;

	for (s = TAILQ_FIRST(&port->streams); s; s = next) {
		next = TAILQ_NEXT(s, link);
		/* What is refused goes on being swallowed. */
		if (s->refused)
			continue;
		sb->args.ops->reset(port, s->number, error, text);
		switch_event(sb, s, SWITCH_RESET, text);
		switch_forget(sb, s);
	}
}

void switch_clear(struct switchboard *sb)
{
	struct switch_stream *s, *next;
	unsigned int i;

	while ((s = TAILQ_FIRST(&sb->orphans)))
		switch_remove(sb, s);
	while ((s = TAILQ_FIRST(&sb->ending)))
		switch_remove(sb, s);
	for (i = 0; i < SWITCH_CHAINS; i++) {
		for (s = LIST_FIRST(&sb->by_ring[i]); s; s = next) {
			next = LIST_NEXT(s, by_ring);
			if (s->refused)
				continue;
			switch_event(sb, s, SWITCH_PARKED, NULL);
			switch_forget(sb, s);
		}
	}
}
