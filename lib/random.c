// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Random bytes.
 */
#include <errno.h>
#include <sys/random.h>

#include "internal.h"

/** kring_random() - @len bytes, at most 256, that nobody can guess; 0 or a negative errno */
int kring_random(void *buf, size_t len)
{
	ssize_t n;

	/* So few bytes come whole, unless a signal comes before there is any randomness. */
	do {
		n = getrandom(buf, len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
