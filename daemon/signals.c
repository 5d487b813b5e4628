// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * SIGTERM and SIGINT stop the daemon, or the machine where it is PID 1; SIGHUP reloads.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "init.h"
#include "log.h"
#include "signals.h"
#include "systemd.h"

static void reload(struct signals *signals)
{
	struct agent *agent = signals->agent;
	struct config_error err;
	struct config fresh;
	struct timespec now;
	const char *restart;

	clock_gettime(CLOCK_MONOTONIC, &now);
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%llu",
		       now.tv_sec * 1000000ull + now.tv_nsec / 1000);
	if (options_load(signals->options, &fresh, &err)) {
		log_error("%s; the old configuration stays", err.text);
		systemd_notify("READY=1");
		return;
	}
	/* Without a file all is allowed: not because one was lost. */
	if (agent->config.from_file && !fresh.from_file) {
		log_error("the configuration file is gone; the old configuration stays");
		config_free(&fresh);
		systemd_notify("READY=1");
		return;
	}
	restart = config_reload(&agent->config, &fresh);
	if (restart)
		log_warning("configuration: %s changes only with a restart", restart);
	log_set_level(agent->config.log_level);
	if (agent_set_allowed(agent))
		log_error("configuration: out of memory");
	else
		agent_link_changed(agent, agent->hello.generation);
	log_info("configuration: read anew");
	systemd_notify("READY=1");
}

static void handle(struct signals *signals, int number)
{
	if (number == SIGHUP) {
		reload(signals);
		return;
	}
	log_info("stopping: %s", strsignal(number));
	if (!init_is_us())
		agent_stop(signals->agent, AGENT_STOP_EXIT);
	else
		agent_stop(signals->agent,
			   number == SIGINT ? AGENT_STOP_REBOOT : AGENT_STOP_POWEROFF);
}

static void signals_ready(struct loop_op *op, int result)
{
	struct signals *signals = container_of(op, struct signals, op);
	struct signalfd_siginfo info;

	if (signals->stopping) {
		close(signals->fd);
		return;
	}
	if (result < 0) {
		log_error("signals: %s", strerror(-result));
		agent_stop(signals->agent, AGENT_STOP_EXIT);
		return;
	}
	while (read(signals->fd, &info, sizeof(info)) == sizeof(info))
		handle(signals, info.ssi_signo);
	loop_poll(&signals->agent->loop, op, signals->fd, POLLIN);
}

int signals_init(struct signals *signals, struct agent *agent, const struct options *options)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals->fd < 0)
		return -errno;
	signals->stopping = false;
	signals->agent = agent;
	signals->options = options;
	signals->op.done = signals_ready;
	loop_poll(&agent->loop, &signals->op, signals->fd, POLLIN);
	return 0;
}

void signals_fini(struct signals *signals)
{
	/* Its file is closed when nobody waits for that any more. */
	signals->stopping = true;
	loop_cancel(&signals->agent->loop, &signals->op);
}
