// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * talk: one end of a conversation in which every byte is accounted for.
 *
 *	talk host|guest count|bulk BYTES LEDGER GO LINK [ARGUMENT...]
 *	talk report LEDGER
 *
 * BYTES are sent in each direction, LEDGER is a file for what is known and seen, GO is one
 * that appears when the conversation may come to its end; a LINK is one of link.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conversation.h"

enum argument { PROGRAM, ROLE, KIND, BYTES, LEDGER, GO, LINK };

static int usage(void)
{
	fputs("Usage: talk host|guest count|bulk BYTES LEDGER GO LINK [ARGUMENT...]\n"
	      "       talk report LEDGER\n", stderr);
	return 2;
}

static int fail(const char *what, int code)
{
	fprintf(stderr, "talk: %s: %s\n", what, strerror(-code));
	return 1;
}

static int report(const char *path)
{
	int ret = ledger_print(path);

	return ret ? fail(path, ret) : 0;
}

int main(int argc, char **argv)
{
	static struct conversation c;
	int ret;

	if (argc == 3 && !strcmp(argv[ROLE], "report"))
		return report(argv[2]);
	if (argc <= LINK || !link_init(&c.link, argv + LINK))
		return usage();
	c.host = !strcmp(argv[ROLE], "host");
	c.counting = !strcmp(argv[KIND], "count");
	c.total = strtoull(argv[BYTES], NULL, 0);
	c.go = argv[GO];
	link_signals();
	c.ledger = ledger_open(argv[LEDGER]);
	if (!c.ledger)
		return fail(argv[LEDGER], -errno);
	conversation_init(&c);
	ret = conversation_run(&c);
	return ret ? fail("the connection was lost", ret) : 0;
}
