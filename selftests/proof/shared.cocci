// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// A word that the peer may write, or reads, touched other than by READ_ONCE(), WRITE_ONCE(),
// kring_load_acquire() or kring_store_release(). Taking its address is no access.
//
// Confidence: High
// Options: --no-includes --include-headers

virtual report

@once@
expression E, V;
position p;
identifier f = { head, tail, want_space, want_data, generation, state };
@@
(
 READ_ONCE(E->f@p)
|
 WRITE_ONCE(E->f@p, V)
|
 READ_ONCE(*E->f@p)
|
 WRITE_ONCE(*E->f@p, V)
|
 READ_ONCE(*E.f@p)
|
 WRITE_ONCE(*E.f@p, V)
|
 kring_load_acquire(&E->f@p)
|
 kring_store_release(&E->f@p, V)
|
 &E->f@p
)

@page@
struct kring_producer_page *P;
struct kring_consumer_page *C;
identifier f = { head, tail, want_space, want_data };
position p != once.p;
@@
(
 P->f@p
|
 C->f@p
)

// A copy on the stack, or in a layout, is no shared memory: only what a pointer leads to.
@header@
struct kring_header *H;
identifier f = { generation, state };
position p != once.p;
@@
 H->f@p

@word@
struct kring_ring *R;
struct kring_ring S;
expression E;
identifier f = { head, tail, want_space, want_data };
position p != once.p;
@@
(
 *R->f@p
|
 *S.f@p
|
 *E->ring.f@p
|
 *E.ring.f@p
)

@script:python depends on report@
p << page.p;
f << page.f;
@@
print("%s:%s: %s: shared, not READ_ONCE() (%s)" %
      (p[0].file, p[0].line, f, p[0].current_element))

@script:python depends on report@
p << header.p;
f << header.f;
@@
print("%s:%s: %s: shared, not READ_ONCE() (%s)" %
      (p[0].file, p[0].line, f, p[0].current_element))

@script:python depends on report@
p << word.p;
f << word.f;
@@
print("%s:%s: *%s: shared, not READ_ONCE() (%s)" %
      (p[0].file, p[0].line, f, p[0].current_element))
