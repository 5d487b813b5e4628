// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ledger.h"

struct ledger *ledger_open(const char *path)
{
	struct ledger *l = MAP_FAILED;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, sizeof(*l)))
		l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return l == MAP_FAILED ? NULL : l;
}
