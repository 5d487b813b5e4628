// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A pseudo terminal. The slave is opened through the master, as /dev/pts may be that of
 * another mount namespace, or not be mounted at its usual place.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"

#define ROWS		24
#define COLUMNS		80
#define SIZE_MAX_16	65535

static unsigned short clamp(uint32_t value)
{
	return value < SIZE_MAX_16 ? value : SIZE_MAX_16;
}

int terminal_open(uint32_t rows, uint32_t columns, int *master, int *slave)
{
	struct winsize size = {
		.ws_row = rows ? clamp(rows) : ROWS,
		.ws_col = columns ? clamp(columns) : COLUMNS,
	};
	int unlock = 0, code;

	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (*master < 0)
		return -errno;
	if (ioctl(*master, TIOCSPTLCK, &unlock))
		goto close_master;
	*slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0)
		goto close_master;
	if (ioctl(*slave, TIOCSWINSZ, &size))
		goto close_slave;
	return 0;

close_slave:
	code = -errno;
	close(*slave);
	close(*master);
	return code;
close_master:
	code = -errno;
	close(*master);
	return code;
}

void terminal_resize(int master, uint32_t rows, uint32_t columns)
{
	struct winsize size;

	if (ioctl(master, TIOCGWINSZ, &size))
		return;
	if (rows)
		size.ws_row = clamp(rows);
	if (columns)
		size.ws_col = clamp(columns);
	ioctl(master, TIOCSWINSZ, &size);
}

pid_t terminal_foreground(int master)
{
	pid_t group;

	if (ioctl(master, TIOCGPGRP, &group) || group < 0)
		return 0;
	return group;
}

int terminal_eof_character(int master)
{
	struct termios attributes;

	if (tcgetattr(master, &attributes) || attributes.c_cc[VEOF] == _POSIX_VDISABLE)
		return -1;
	return attributes.c_cc[VEOF];
}
