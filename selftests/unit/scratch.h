/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A directory for a test's files: in TMPDIR, which whoever runs the tests removes, also when
 * a test is killed.
 */
#ifndef KRING_UNIT_SCRATCH_H
#define KRING_UNIT_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>

#include <tap.h>

/* Bytes of its name, with the NUL: short enough for a unix socket in it. */
#define SCRATCH_LEN	80

static inline void scratch_make(char *dir)
{
	const char *tmp = getenv("TMPDIR");
	int len;

	len = snprintf(dir, SCRATCH_LEN, "%s/kring-unit.XXXXXX", tmp ? tmp : "/tmp");
	must(len < SCRATCH_LEN && mkdtemp(dir));
}

#endif /* KRING_UNIT_SCRATCH_H */
