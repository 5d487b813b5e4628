// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Kicks between a line and the driver's eventfds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <linux/kring.h>
#include <linux/vm_sockets.h>

#include "doorbell.h"
#include "log.h"

/* Before a line that failed is tried again. */
#define RETRY	1000000000ull

/* Reads of the line at a turn. */
#define TURN	64

/**
 * struct doorbell - a line, and two eventfds
 * @loop: event loop
 * @address: of the line
 * @fds: the driver's
 * @line: -1: there is none now
 * @connecting: it is not a line yet
 * @complained: that there is none has been logged
 * @stopping: it is to be freed when nothing is under way
 * @from_line: waits for kicks of the host
 * @from_driver: waits for kicks of the guest
 * @retry: waits before the line is opened again
 * @addr: of a socket
 */
struct doorbell {
	struct loop *loop;
	const char *address;
	struct kring_eventfds fds;
	int line;
	bool connecting;
	bool complained;
	bool stopping;
	struct loop_op from_line;
	struct loop_op from_driver;
	struct loop_op retry;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_vm vm;
	} addr;
};

static bool parse_vsock(const char *address, struct sockaddr_vm *vm)
{
	unsigned int cid, port;
	char end;

	if (sscanf(address, "vsock:%u:%u%c", &cid, &port, &end) != 2)
		return false;
	if (vm) {
		memset(vm, 0, sizeof(*vm));
		vm->svm_family = AF_VSOCK;
		vm->svm_cid = cid;
		vm->svm_port = port;
	}
	return true;
}

bool doorbell_valid(const char *address)
{
	return address[0] == '/' || parse_vsock(address, NULL);
}

static void doorbell_put(struct doorbell *doorbell)
{
	if (doorbell->from_line.busy || doorbell->from_driver.busy || doorbell->retry.busy)
		return;
	if (doorbell->line >= 0)
		close(doorbell->line);
	close(doorbell->fds.out);
	close(doorbell->fds.in);
	free(doorbell);
}

/* Tell the host. When the line is full, a kick is under way, and another not needed. */
static void kick_host(struct doorbell *doorbell)
{
	ssize_t ret;

	do {
		ret = write(doorbell->line, "k", 1);
	} while (ret < 0 && errno == EINTR);
	/* Who waits for the line hears that it has failed. */
	if (ret < 0 && errno != EAGAIN)
		loop_cancel(doorbell->loop, &doorbell->from_line);
}

static void kick_driver(struct doorbell *doorbell)
{
	eventfd_write(doorbell->fds.in, 1);
}

static void line_lost(struct doorbell *doorbell, int error)
{
	/* A line whose other end the host has closed is not worth a line in the log. */
	if (error == -EPIPE)
		log_debug("doorbell %s: the host is not there", doorbell->address);
	else if (!doorbell->complained)
		log_warning("doorbell %s: %s; trying again each second", doorbell->address,
			    strerror(-error));
	doorbell->complained = true;
	if (doorbell->line >= 0)
		close(doorbell->line);
	doorbell->line = -1;
	loop_timeout(doorbell->loop, &doorbell->retry, RETRY);
}

static void line_ready(struct doorbell *doorbell)
{
	doorbell->connecting = false;
	/* Whoever attaches kicks once and looks once. */
	kick_driver(doorbell);
	loop_poll(doorbell->loop, &doorbell->from_line, doorbell->line, POLLIN);
	kick_host(doorbell);
}

static int open_socket(struct doorbell *doorbell)
{
	socklen_t len = doorbell->addr.any.sa_family == AF_VSOCK ? sizeof(doorbell->addr.vm) :
								   sizeof(doorbell->addr.un);

	doorbell->line = socket(doorbell->addr.any.sa_family,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (doorbell->line < 0)
		return -errno;
	doorbell->connecting = true;
	loop_connect(doorbell->loop, &doorbell->from_line, doorbell->line, &doorbell->addr.any,
		     len);
	return 0;
}

static int open_file(struct doorbell *doorbell)
{
	struct termios tio;

	doorbell->line = open(doorbell->address, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (doorbell->line < 0)
		return -errno;
	if (!tcgetattr(doorbell->line, &tio)) {
		cfmakeraw(&tio);
		if (tcsetattr(doorbell->line, TCSANOW, &tio))
			return -errno;
	}
	line_ready(doorbell);
	return 0;
}

static int line_open(struct doorbell *doorbell)
{
	const char *address = doorbell->address;
	struct sockaddr_un *un = &doorbell->addr.un;
	struct stat st;

	if (parse_vsock(address, &doorbell->addr.vm))
		return open_socket(doorbell);
	if (stat(address, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return open_file(doorbell);
	if (strlen(address) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, address);
	return open_socket(doorbell);
}

static void line_retry(struct doorbell *doorbell)
{
	int err = line_open(doorbell);

	if (err)
		line_lost(doorbell, err);
}

static void retry_done(struct loop_op *op, int result)
{
	struct doorbell *doorbell = container_of(op, struct doorbell, retry);

	(void)result;
	if (doorbell->stopping)
		doorbell_put(doorbell);
	else
		line_retry(doorbell);
}

/*
 * Take the bytes off the line: how many there were is of no interest. A host that writes
 * without end has its next turn after others.
 */
static int drain_line(struct doorbell *doorbell)
{
	unsigned int turn = TURN;
	char bytes[256];
	ssize_t ret;

	do {
		ret = read(doorbell->line, bytes, sizeof(bytes));
	} while ((ret == sizeof(bytes) || (ret < 0 && errno == EINTR)) && --turn);
	if (!ret)
		return -EPIPE;
	return ret < 0 && errno != EAGAIN ? -errno : 0;
}

static void from_line_done(struct loop_op *op, int result)
{
	struct doorbell *doorbell = container_of(op, struct doorbell, from_line);
	int err = result < 0 ? result : 0;

	if (doorbell->stopping) {
		doorbell_put(doorbell);
		return;
	}
	if (!err && doorbell->connecting) {
		log_info("doorbell %s: connected", doorbell->address);
		doorbell->complained = false;
		line_ready(doorbell);
		return;
	}
	if (!err)
		err = drain_line(doorbell);
	if (err) {
		line_lost(doorbell, err == -ECANCELED ? -EPIPE : err);
		return;
	}
	doorbell->complained = false;
	kick_driver(doorbell);
	loop_poll(doorbell->loop, op, doorbell->line, POLLIN);
}

static void from_driver_done(struct loop_op *op, int result)
{
	struct doorbell *doorbell = container_of(op, struct doorbell, from_driver);
	eventfd_t value;

	(void)result;
	if (doorbell->stopping) {
		doorbell_put(doorbell);
		return;
	}
	eventfd_read(doorbell->fds.out, &value);
	if (doorbell->line >= 0 && !doorbell->connecting)
		kick_host(doorbell);
	loop_poll(doorbell->loop, op, doorbell->fds.out, POLLIN);
}

int doorbell_new(struct doorbell **to, struct loop *loop, const char *address, int device)
{
	struct doorbell *doorbell;
	int err;

	doorbell = calloc(1, sizeof(*doorbell));
	if (!doorbell)
		return -ENOMEM;
	doorbell->loop = loop;
	doorbell->address = address;
	doorbell->line = -1;
	doorbell->from_line.done = from_line_done;
	doorbell->from_driver.done = from_driver_done;
	doorbell->retry.done = retry_done;
	doorbell->fds.in = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (doorbell->fds.in < 0) {
		err = -errno;
		goto free_doorbell;
	}
	doorbell->fds.out = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (doorbell->fds.out < 0) {
		err = -errno;
		goto close_in;
	}
	if (ioctl(device, KRING_IOC_EVENTFDS, &doorbell->fds)) {
		err = -errno;
		goto close_out;
	}
	loop_poll(loop, &doorbell->from_driver, doorbell->fds.out, POLLIN);
	line_retry(doorbell);
	*to = doorbell;
	return 0;

close_out:
	close(doorbell->fds.out);
close_in:
	close(doorbell->fds.in);
free_doorbell:
	free(doorbell);
	return err;
}

void doorbell_free(struct doorbell *doorbell)
{
	if (!doorbell)
		return;
	doorbell->stopping = true;
	loop_cancel(doorbell->loop, &doorbell->from_line);
	loop_cancel(doorbell->loop, &doorbell->from_driver);
	loop_cancel(doorbell->loop, &doorbell->retry);
}
