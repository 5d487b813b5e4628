// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "link.h"

#define ANSWER_TIMEOUT	5000	/* ms */

static sigset_t unblocked;

void link_signals(void)
{
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &unblocked);
	signal(SIGPIPE, SIG_IGN);
}

int link_poll(struct pollfd *fds, unsigned int count, int timeout)
{
	struct timespec ts = { timeout / 1000, timeout % 1000 * 1000000 };

	return ppoll(fds, count, &ts, &unblocked);
}

static int nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

static int take(struct link *link, int in, int out)
{
	int ret = nonblocking(in);

	if (!ret && in != out)
		ret = nonblocking(out);
	if (ret) {
		close(in);
		if (in != out)
			close(out);
		return ret;
	}
	link->in = in;
	link->out = out;
	return 0;
}

static void become(char **argv, int in, int out)
{
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &unblocked, NULL);
	execvp(*argv, argv);
	perror(*argv);
	_exit(127);
}

static int open_exec(struct link *link)
{
	int in[2], out[2], ret;

	if (pipe2(in, O_CLOEXEC))
		return -errno;
	if (pipe2(out, O_CLOEXEC)) {
		ret = -errno;
		goto close_in;
	}
	link->child = fork();
	if (link->child < 0) {
		ret = -errno;
		link->child = 0;
		goto close_out;
	}
	if (!link->child)
		become(link->argv + 1, out[0], in[1]);
	close(in[1]);
	close(out[0]);
	return take(link, in[0], out[1]);

close_out:
	close(out[0]);
	close(out[1]);
close_in:
	close(in[0]);
	close(in[1]);
	return ret;
}

static int open_unix(struct link *link)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, ret;

	strncpy(address.sun_path, link->argv[1], sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return take(link, fd, fd);
}

/* "OK n\n" and nothing behind it: what follows is the conversation's. */
static int hybrid_answer(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[32] = "";
	size_t n = 0;

	while (n < sizeof(line) - 1) {
		if (link_poll(&p, 1, ANSWER_TIMEOUT) <= 0)
			return -ETIMEDOUT;
		if (read(fd, line + n, 1) != 1)
			return -ECONNREFUSED;
		if (line[n++] == '\n')
			break;
	}
	return strncmp(line, "OK ", 3) ? -EPROTO : 0;
}

static int open_hybrid(struct link *link)
{
	int ret = open_unix(link);

	if (ret)
		return ret;
	if (dprintf(link->out, "CONNECT %s\n", link->argv[2]) < 0)
		ret = -EPIPE;
	else
		ret = hybrid_answer(link->in);
	if (ret)
		link_close(link, false);
	return ret;
}

static int open_stdio(struct link *link)
{
	return take(link, STDIN_FILENO, STDOUT_FILENO);
}

static int open_port(struct link *link)
{
	int fd = open(link->argv[1], O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : take(link, fd, fd);
}

static int listen_vsock(const char *port)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = atoi(port),
	};
	int fd, ret;

	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 4))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static int open_vsock(struct link *link)
{
	struct pollfd p = { .events = POLLIN };
	int fd;

	if (link->listener < 0)
		link->listener = listen_vsock(link->argv[1]);
	if (link->listener < 0)
		return link->listener;
	p.fd = link->listener;
	if (link_poll(&p, 1, 1000) <= 0)
		return -EAGAIN;
	fd = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : take(link, fd, fd);
}

static const struct kind {
	const char *name;
	int (*open)(struct link *link);
	int arguments;
	bool lasting;
	bool only;
} kinds[] = {
	{ "exec", open_exec, 1, false, false },
	{ "unix", open_unix, 1, false, false },
	{ "hybrid", open_hybrid, 2, false, false },
	{ "stdio", open_stdio, 0, false, true },
	{ "port", open_port, 1, true, false },
	{ "vsock", open_vsock, 1, false, false },
};

static const struct kind *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (name && !strcmp(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

bool link_init(struct link *link, char **argv)
{
	const struct kind *kind = find(*argv);
	int i;

	if (!kind)
		return false;
	for (i = 1; i <= kind->arguments; i++)
		if (!argv[i])
			return false;
	*link = (struct link){
		.argv = argv, .in = -1, .out = -1, .listener = -1,
		.lasting = kind->lasting, .only = kind->only,
	};
	return true;
}

int link_open(struct link *link)
{
	return find(*link->argv)->open(link);
}

void link_close(struct link *link, bool finished)
{
	int status;

	if (link->out >= 0 && link->out != link->in)
		close(link->out);
	if (link->child && !finished)
		kill(link->child, SIGKILL);
	if (link->child && waitpid(link->child, &status, 0) == link->child)
		link->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (link->in >= 0)
		close(link->in);
	link->child = 0;
	link->in = -1;
	link->out = -1;
}
