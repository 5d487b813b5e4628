/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The life of kicks: can a side sleep for ever while there is what it sleeps for?
 *
 * One ring, its producer and its consumer, and the doorbell between them. One of the two is
 * the guest, the other the host: -DG2H makes the guest the producer, else it is the consumer.
 * The other ring of a region is the same with the roles swapped. It is left out: it shares
 * the doorbell alone, and what comes from it are more kicks, which can hide a lost wake-up
 * and never cause one. Data has no contents, each frame takes one unit of room.
 *
 * Each load and store of a shared word is a step of its own. Each side is a table of steps
 * with its program counter in a variable, so that a restore can put it back. What memory may
 * reorder is for the litmus tests; a barrier taken away is here the two steps, swapped.
 *
 * A kick wakes whoever has announced that it goes to sleep, and nobody else: nothing is
 * remembered for a side that is awake. That is as strict as a wait queue, and stricter than
 * a socket.
 *
 * The property: when nothing can happen any more, all frames went through. As all that
 * disturbs is bounded in number, and no step goes back, "for ever" is "when nothing can
 * happen any more".
 *
 * What may happen (a number says how often):
 *	LOSE, DOUBLE	a kick in flight is lost, or doubled
 *	PAUSE		pause and resume, which forget the kicks in flight to the host: 6074
 *	RESTORE		guest and region go back to a snapshot of any earlier moment; kicks in
 *			flight are lost. A host process attaches, some time later.
 *			Twice is also a fork: each child is a restore of its own.
 *	WHOLE		the same, but the host's end goes back too, and nobody connects: a
 *			clone that includes the host's end (nested, checkpointed)
 *	DEATH		the host process dies at any step, another adopts the region
 *	REBOOT		the guest's driver goes at any step, with the VMM or without, and another
 *			attaches; the host's end notices nothing
 *	RELAY		what lies between VMM and host process connects anew, and neither tells
 *			the host process nor kicks; kicks in flight are lost
 * Where:
 *	NO_PORT_OPEN	the VMM does not say that the host's end connected
 *	NO_VMGENID	the VMM or the kernel has no VM-fork notification
 *	VPORT		the guest's kicks go through kmod/vport.c, one byte in flight
 *	STALE		with VPORT: a restore or resume forgets that the device was notified of
 *			the byte, which stays in its queue: 5969 (RESTORE), 6074 (PAUSE)
 *	SKIP		a foreign producer publishes a skip alone, as one of the frames
 * What is taken away:
 *	NO_RULE1 (NO_RULE1_KICK, NO_RULE1_LOOK: half of it), NO_RULE2 (NO_RULE2_WAKE,
 *	NO_RULE2_ANSWER), NO_RULE3, NO_RULE4; NO_B, NO_B_PRIME, NO_E, NO_E_PRIME: barriers of
 *	<kring/ring.h>; NO_AGAIN: kmod/vport.c without its "again"
 * What could be added:
 *	RENOTIFY	a kick that rides on the byte in flight notifies the device anew
 *	RELOOK		a consumer that finds nothing but a skip on its last look before it sleeps
 *			gives it back and looks anew, as lib/host.c does
 */
#ifndef FRAMES
#define FRAMES	3
#endif
#ifndef SIZE
#define SIZE	1
#endif

#ifndef LOSE
#define LOSE	0
#endif
#ifndef DOUBLE
#define DOUBLE	0
#endif
#ifndef PAUSE
#define PAUSE	0
#endif
#ifndef RESTORE
#define RESTORE	0
#endif
#ifndef WHOLE
#define WHOLE	0
#endif
#ifndef DEATH
#define DEATH	0
#endif
#ifndef REBOOT
#define REBOOT	0
#endif
#ifndef RELAY
#define RELAY	0
#endif

#ifdef NO_RULE1
#define NO_RULE1_KICK
#define NO_RULE1_LOOK
#endif
#ifdef NO_RULE2
#define NO_RULE2_WAKE
#define NO_RULE2_ANSWER
#endif

/* The two sides. want[P] is want_space, want[C] is want_data. */
#define P	0
#define C	1
#ifdef G2H
#define GUEST	P
#define HOST	C
#else
#define GUEST	C
#define HOST	P
#endif

/* Program counters, the same for both sides. */
#define LOOK		0	/* load the peer's cursor */
#define PUBLISH		1	/* store the own cursor */
#define SEE_WANT	2	/* load the peer's want field, kick if it is set */
#define ANNOUNCE	3	/* store the own want field */
#define LOOK_AGAIN	4	/* load the peer's cursor, sleep if there is nothing */
#define SLEEP		5
#define LATE		6	/* the second of two steps that were swapped */

/* The region. */
byte head, tail;
bool want[2];

/* The sides: seen is what a swapped step loaded too early; skipped is the consumer's. */
byte pc[2];
bool woken[2], seen[2];
bool skipped;
bool host_gone;

/* The doorbell: kicks in flight to each side. More than two are no different. */
byte kicks[2];
bool port_open;		/* the control message is on its way to the guest */
bool vmfork;		/* the VM-fork notification is on its way */

/* kmod/vport.c: the byte is ours, the device has not seen it, or has taken it. */
#define OURS	0
#define QUEUED	1
#define TAKEN	2
byte tx;
bool again;
bool notified;

/* The snapshot. */
bool snapped;
byte s_head, s_tail, s_pc[2], s_tx;
bool s_want[2], s_woken[2], s_seen[2], s_again, s_notified, s_skipped, s_host_gone;

/* How much has gone wrong yet. */
byte lost, doubled, paused, restored, died, rebooted, relayed;

#ifdef SKIP
#define UNIT_IS_SKIP	(tail + skipped == 1)
#else
#define UNIT_IS_SKIP	false
#endif

#define ROOM		(head - tail < SIZE)
#define DATA		(tail + skipped < head)
#define READY(me)	((me == P && ROOM) || (me == C && DATA))
#define BUSY(me)	(me == C || head < FRAMES || pc[me] != LOOK)

#define MORE(n)		n = (n < 2 -> n + 1 : 2)

inline kick(me)
{
#ifdef VPORT
	if
	:: me == GUEST && tx == OURS ->
		tx = QUEUED;
		notified = true
	:: me == GUEST && tx != OURS ->
#ifndef NO_AGAIN
		again = true;
#endif
#ifdef RENOTIFY
		notified = true;
#endif
		skip
	:: else ->
		MORE(kicks[1 - me])
	fi
#else
	MORE(kicks[1 - me])
#endif
}

inline publish(me)
{
	if
	:: me == P -> head++
	:: else -> tail++; skipped = false
	fi
}

/* One step of one side. */
inline step(me)
{
	if
	:: pc[me] == LOOK ->
		if
		:: READY(me) && me == C && UNIT_IS_SKIP ->
			/* Advanced over in private. Nothing is behind it: give it back, then sleep. */
			skipped = true;
			pc[me] = PUBLISH
		:: READY(me) && !(me == C && UNIT_IS_SKIP) ->
			want[me] = false;
			pc[me] = PUBLISH
		:: !READY(me) && me == C && skipped ->
			pc[me] = PUBLISH
		:: !READY(me) && !(me == C && skipped) ->
			pc[me] = ANNOUNCE
		fi
	:: pc[me] == PUBLISH ->
		if
#ifdef NO_B
		:: me == P -> seen[me] = want[C]; pc[me] = LATE
#endif
#ifdef NO_E
		:: me == C -> seen[me] = want[P]; pc[me] = LATE
#endif
		:: else -> publish(me); pc[me] = SEE_WANT
		fi
	:: pc[me] == SEE_WANT ->
		if
		:: want[1 - me] -> kick(me)
		:: else
		fi;
		pc[me] = LOOK
	:: pc[me] == ANNOUNCE ->
		woken[me] = false;
		if
#ifdef NO_B_PRIME
		:: me == C -> seen[me] = READY(me); pc[me] = LATE
#endif
#ifdef NO_E_PRIME
		:: me == P -> seen[me] = READY(me); pc[me] = LATE
#endif
		:: else -> want[me] = true; pc[me] = LOOK_AGAIN
		fi
	:: pc[me] == LOOK_AGAIN ->
		if
		:: READY(me) && me == C && UNIT_IS_SKIP ->
			skipped = true;
#ifdef RELOOK
			pc[me] = LOOK
#else
			pc[me] = SLEEP
#endif
		:: READY(me) && !(me == C && UNIT_IS_SKIP) -> pc[me] = LOOK
		:: !READY(me) -> pc[me] = SLEEP
		fi
	:: pc[me] == SLEEP ->
		woken[me] = false;
		pc[me] = LOOK
#if defined(NO_B) || defined(NO_E) || defined(NO_B_PRIME) || defined(NO_E_PRIME)
	:: pc[me] == LATE ->
		/* Either pair of steps: which, the want field's owner tells. */
#if defined(NO_B) || defined(NO_E)
		publish(me);
		if
		:: seen[me] -> kick(me)
		:: else
		fi;
		pc[me] = LOOK
#else
		want[me] = true;
		pc[me] = (seen[me] -> LOOK : SLEEP)
#endif
#endif
	fi;
	/* What means nothing any more makes no states of its own. */
	seen[me] = (pc[me] == LATE && seen[me]);
	woken[me] = (pc[me] >= LOOK_AGAIN && woken[me])
}

/* The slow timer looks, and wakes who has been missed. */
#ifdef NO_RULE4
#define RESCUE(me)	false
#else
#define RESCUE(me)	READY(me)
#endif

#define CAN_STEP(me)	(BUSY(me) && (pc[me] != SLEEP || woken[me] || RESCUE(me)))

/* Take up a side where the region has it. */
inline attach(me)
{
	woken[me] = false;
	seen[me] = false;
	if
	:: me == C -> skipped = false
	:: else
	fi;
#ifdef NO_RULE1_LOOK
	/* Believe the field: who had set it slept, so sleep on. */
	pc[me] = (want[me] -> SLEEP : LOOK);
#else
	want[me] = false;
	pc[me] = LOOK;
#endif
#ifndef NO_RULE1_KICK
	kick(me)
#endif
}

inline snapshot()
{
	snapped = true;
	s_head = head;
	s_tail = tail;
	s_skipped = skipped;
	s_want[P] = want[P];
	s_want[C] = want[C];
	s_pc[GUEST] = pc[GUEST];
	s_woken[GUEST] = woken[GUEST];
	s_seen[GUEST] = seen[GUEST];
#if WHOLE > 0
	s_pc[HOST] = pc[HOST];
	s_woken[HOST] = woken[HOST];
	s_seen[HOST] = seen[HOST];
	s_host_gone = host_gone;
#endif
	s_tx = tx;
	s_again = again;
	s_notified = notified
}

/* Nothing goes back to the snapshot again: it makes no states of its own. */
inline forget()
{
	s_head = 0;
	s_tail = 0;
	s_skipped = false;
	s_want[P] = false;
	s_want[C] = false;
	s_pc[P] = 0;
	s_pc[C] = 0;
	s_woken[P] = false;
	s_woken[C] = false;
	s_seen[P] = false;
	s_seen[C] = false;
	s_host_gone = false;
	s_tx = 0;
	s_again = false;
	s_notified = false
}

inline restore_guest()
{
	head = s_head;
	tail = s_tail;
	skipped = s_skipped;
	want[P] = s_want[P];
	want[C] = s_want[C];
	pc[GUEST] = s_pc[GUEST];
	woken[GUEST] = s_woken[GUEST];
	seen[GUEST] = s_seen[GUEST];
	tx = s_tx;
	again = s_again;
#ifdef STALE
	notified = false;
#else
	/* A VMM that restores its devices well goes through their queues. */
	notified = true;
#endif
	kicks[P] = 0;
	kicks[C] = 0;
	port_open = false;
#if !defined(NO_RULE3) && !defined(NO_VMGENID)
	vmfork = true;
#endif
	if
	:: restored == RESTORE + WHOLE -> forget()
	:: else
	fi
}

init {
	do
	:: d_step { CAN_STEP(GUEST) -> step(GUEST) }
	:: d_step { !host_gone && CAN_STEP(HOST) -> step(HOST) }

	/* The doorbell. */
	:: d_step { kicks[GUEST] > 0 -> kicks[GUEST]--; woken[GUEST] = pc[GUEST] >= LOOK_AGAIN }
	:: d_step { kicks[HOST] > 0 -> kicks[HOST]--; woken[HOST] = pc[HOST] >= LOOK_AGAIN }
#ifdef VPORT
	:: d_step { tx == QUEUED && notified -> tx = TAKEN; notified = false; MORE(kicks[HOST]) }
	:: d_step { tx == TAKEN ->
		tx = OURS;
		if
		:: again -> again = false; kick(GUEST)
		:: else
		fi
	}
#endif
	:: d_step { port_open ->
		port_open = false;
#ifndef NO_RULE2_WAKE
		woken[GUEST] = pc[GUEST] >= LOOK_AGAIN;
#endif
#ifndef NO_RULE2_ANSWER
		kick(GUEST)
#endif
	}
	:: d_step { vmfork ->
		vmfork = false;
		woken[GUEST] = pc[GUEST] >= LOOK_AGAIN;
		kick(GUEST)
	}

	/* What may go wrong. */
#if LOSE > 0
	:: d_step { lost < LOSE && kicks[P] > 0 -> lost++; kicks[P]-- }
	:: d_step { lost < LOSE && kicks[C] > 0 -> lost++; kicks[C]-- }
#endif
#if DOUBLE > 0
	:: d_step { doubled < DOUBLE && kicks[P] > 0 -> doubled++; MORE(kicks[P]) }
	:: d_step { doubled < DOUBLE && kicks[C] > 0 -> doubled++; MORE(kicks[C]) }
#endif
#if PAUSE > 0
	:: d_step { paused < PAUSE ->
		paused++;
#ifdef STALE
		notified = false
#else
		kicks[HOST] = 0
#endif
	}
#endif
#if RESTORE > 0 || WHOLE > 0
	:: d_step { !snapped -> snapshot() }
#endif
#if RESTORE > 0
	:: d_step { snapped && restored < RESTORE ->
		restored++;
		restore_guest();
		host_gone = true
	}
#endif
#if WHOLE > 0
	:: d_step { snapped && restored < WHOLE ->
		restored++;
		pc[HOST] = s_pc[HOST];
		woken[HOST] = s_woken[HOST];
		seen[HOST] = s_seen[HOST];
		host_gone = s_host_gone;
		restore_guest()
	}
#endif
#if DEATH > 0
	:: d_step { died < DEATH && !host_gone -> died++; host_gone = true }
	:: d_step { died < DEATH && !host_gone -> died++; host_gone = true; kicks[GUEST] = 0 }
#endif
#if RESTORE > 0 || DEATH > 0
	:: d_step { host_gone ->
		host_gone = false;
		kicks[HOST] = 0;
		attach(HOST);
#ifndef NO_PORT_OPEN
		port_open = true
#endif
	}
#endif
#if REBOOT > 0
	:: d_step { rebooted < REBOOT ->
		rebooted++;
		kicks[P] = 0;
		kicks[C] = 0;
		port_open = false;
		tx = OURS;
		again = false;
		notified = false;
		attach(GUEST)
	}
#endif
#if RELAY > 0
	:: d_step { relayed < RELAY ->
		relayed++;
		kicks[P] = 0;
		kicks[C] = 0;
#ifndef NO_PORT_OPEN
		port_open = true
#endif
	}
#endif
	:: else ->
		break
	od;
	/* Nothing can happen any more. */
	assert(head == FRAMES && tail == FRAMES)
}
