// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * pings N: N frames there and back, each read as soon as it was written, with a host that sends
 * each frame back.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tap.h>

int main(int argc, char **argv)
{
	int fd = open("/dev/kring", O_RDWR | O_CLOEXEC), i;
	char there[16], back[16];

	must(argc == 2 && fd >= 0);
	for (i = 0; i < atoi(argv[1]); i++) {
		memset(there, i, sizeof(there));
		must(write(fd, there, sizeof(there)) == sizeof(there));
		must(read(fd, back, sizeof(back)) == sizeof(back));
		must(!memcmp(there, back, sizeof(back)));
	}
	return 0;
}
