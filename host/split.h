/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Frames that are longer than the next part of the way takes, in pieces.
 *
 * A client may send frames of KRING_STREAM_FRAME_MAX, and a small ring does not take them.
 */
#ifndef KRING_SPLIT_H
#define KRING_SPLIT_H

#include <stddef.h>

/**
 * split_next() - the next piece
 * @frame: a frame with a whole header
 * @len: its bytes
 * @done: bytes of its payload that earlier pieces had; moved on
 * @max: the longest piece, more than a header
 * @buf: where to, @max bytes
 *
 * Of a type that does not go on in further frames, all pieces but the first are dropped.
 *
 * Return: bytes of the piece. It was the last when @done has come to @len less the header.
 */
size_t split_next(const void *frame, size_t len, size_t *done, size_t max, void *buf);

#endif /* KRING_SPLIT_H */
