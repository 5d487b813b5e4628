/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a session and the host that it is attached to say to each other.
 */
#ifndef KRINGD_SESSION_STREAM_H
#define KRINGD_SESSION_STREAM_H

#include "session.h"

/* What @stream says is this session's from now on, though it is not accepted yet. */
void session_set_stream(struct session *session, struct kring_stream *stream);

/**
 * session_accept() - tell the host that the program runs
 * @session: has a stream
 * @dropped: bytes of output that are lost
 * @send_input: the host may send stdin
 *
 * Return: 0 or -ENOMEM: the stream was reset, and there is none now.
 */
int session_accept(struct session *session, uint64_t dropped, bool send_input);

/* Accept a host, and give it what it has missed. */
void session_attach(struct session *session, struct kring_stream *stream,
		    const Kring__Attach *request);

/* The host wants the program to go on without it. */
void session_detach(struct session *session);

/*
 * Nothing more is said but @message; @result: it tells how the program has ended. 0 or -ENOMEM:
 * the stream was reset. There is none now.
 */
int session_say_farewell(struct session *session, const Kring__ExecExit *message, bool result);

/*
 * Tell the host how the program has ended. There is no stream then, unless the host has to get
 * something else first: session_update() comes again. @session->told until it has got it.
 */
void session_tell_exit(struct session *session);

#endif /* KRINGD_SESSION_STREAM_H */
