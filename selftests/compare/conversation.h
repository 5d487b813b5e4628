/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One end of a conversation, which is to come to its end whatever happens to its connections:
 * as a sane program it gets another one, and goes on from what both ends know.
 */
#ifndef COMPARE_CONVERSATION_H
#define COMPARE_CONVERSATION_H

#include "ledger.h"
#include "link.h"
#include "reader.h"

#define COUNT_RECORD	64	/* bytes */
#define BULK_RECORD	4096
#define HELLOS		8	/* that may wait to be written */

/**
 * struct conversation - one end
 * @host: the one that connects, and says hello
 * @counting: the host sends a small record now and then, and the guest sends it back; else
 *	both send what they have, as fast as it is taken
 * @total: bytes to be sent in each direction
 * @go: a file. Until it is there the conversation is kept from ending: whoever receives gets
 *	slow, so that bytes are under way, and whoever counts does not send the last record
 * @going: it was there
 * @link: connection
 * @ledger: what is known
 * @ours: what is sent
 * @theirs: what is received
 * @reader: of @theirs
 * @epoch: of the last hello
 * @said: what the other end was told last to have arrived here
 * @greeted: the other end has said what it has, data may be sent
 * @asked: for another hello, which has not come yet
 * @bye: the other end has come to the end
 * @position: of the next byte that is sent
 * @peer_have: what the other end has all of
 * @allowed: how far counting has come
 * @hellos: that are to be written before any data
 * @hellos_len: their bytes
 * @out: data to be written
 * @out_at: of its first byte that was not written
 * @out_len: of all
 * @next_count: when the next record may be sent, in milliseconds
 * @next_read: when to read again
 * @heard: when something was read or written, or connected
 * @greeted_at: when hello was said
 */
struct conversation {
	bool host;
	bool counting;
	uint64_t total;
	const char *go;
	bool going;

	struct link link;
	struct ledger *ledger;
	struct content ours;
	struct content theirs;
	struct reader reader;

	uint32_t epoch;
	uint64_t said;
	bool greeted;
	bool asked;
	bool bye;
	uint64_t position;
	uint64_t peer_have;
	uint64_t allowed;

	uint8_t hellos[HELLOS * HELLO_SIZE];
	size_t hellos_len;
	uint8_t out[16 * RECORD_MAX];
	size_t out_at;
	size_t out_len;

	int64_t next_count;
	int64_t next_read;
	int64_t heard;
	int64_t greeted_at;
};

/**
 * conversation_init() - from its last position, as the ledger has it
 *
 * All else of @c was set by the caller, or is 0.
 */
void conversation_init(struct conversation *c);

/** conversation_run() - to its end: 0; a negative errno: the connection was lost for good */
int conversation_run(struct conversation *c);

/** conversation_now() - milliseconds, as in struct conversation */
int64_t conversation_now(void);

/** greeting_begin() - the host says hello; nothing is sent until the guest has answered */
void greeting_begin(struct conversation *c);

/** greeting_say() - a hello, with what the ledger has */
void greeting_say(struct conversation *c, uint32_t epoch);

#endif /* COMPARE_CONVERSATION_H */
