// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the agent says is wrong, in words.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "printable.h"

int client_error(struct kring_error *err, const void *error, size_t len)
{
	Kring__Error *e = kring_unpack(&kring__error__descriptor, error, len);
	char step[64], text[sizeof(err->text)];
	int number = EPROTO;

	if (!e) {
		snprintf(err->text, sizeof(err->text),
			 "the guest's agent has refused, and its reason makes no sense");
		return -EPROTO;
	}
	if (e->number > 0 && e->number < 4096)
		number = e->number;
	printable(step, sizeof(step), e->step, strlen(e->step));
	printable(text, sizeof(text), e->text, strlen(e->text));
	/* The connection's own losses need no prefix; they are whole sentences. */
	if (!*step || !strcmp(step, "connection"))
		snprintf(err->text, sizeof(err->text), "%s", *text ? text : strerror(number));
	else
		snprintf(err->text, sizeof(err->text), "%s: %.180s", step,
			 *text ? text : strerror(number));
	kring_unpack_free(e);
	return -number;
}
