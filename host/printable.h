/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Text from the guest, on its way to a person's terminal.
 *
 * A terminal obeys what it is sent, so a hostile guest could rename windows, hide lines or
 * type answers. What is not plain text is shown as an escape instead.
 */
#ifndef KRING_PRINTABLE_H
#define KRING_PRINTABLE_H

#include <stddef.h>
#include <stdint.h>

/**
 * utf8_length() - how many bytes the UTF-8 character at @at has
 *
 * Return: 1 to 4; 0: these bytes are no character, or not the whole of one within @len.
 */
size_t utf8_length(const uint8_t *at, size_t len, uint32_t *character);

/**
 * printable() - make a string of bytes that may be anything
 * @out: where to
 * @size: bytes there, with the NUL; what does not fit is cut off, between characters
 * @in: bytes
 * @len: how many
 *
 * Return: bytes of @out, without the NUL.
 */
size_t printable(char *out, size_t size, const void *in, size_t len);

#endif /* KRING_PRINTABLE_H */
