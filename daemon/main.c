// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kringd: the guest's agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "health.h"
#include "host_socket.h"
#include "init.h"
#include "link.h"
#include "listener.h"
#include "log.h"
#include "options.h"
#include "quiesce.h"
#include "restore.h"
#include "sessions.h"
#include "signals.h"
#include "store.h"
#include "systemd.h"
#include "trim.h"

/* For what is under way to end. */
#define DRAIN_MS	5000

enum {
	EXIT_DONE,
	EXIT_FAILED,
	EXIT_USAGE,
};

static int fail(const char *what, int err)
{
	log_error("%s: %s", what, strerror(-err));
	return err;
}

/* Started with stdin, stdout or stderr closed, a device would be opened as that. */
static void hold_stdio(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			abort();
}

/* Where frames come from: a socket where that was asked for, else the device. */
static int serve(struct agent *agent, const struct options *options)
{
	struct listener *listener = NULL;
	struct device *device = NULL;
	int err;

	if (options->listen)
		err = listener_new(&listener, agent, options->listen);
	else
		err = device_new(&device, agent);
	if (err)
		return options->listen ? err : fail("device", err);

	quiesce_init(agent);
	systemd_notify("READY=1\nSTATUS=Waiting for a host.");
	trim_memory();
	err = loop_run(&agent->loop);
	if (err)
		fail("event loop", err);
	systemd_notify("STOPPING=1");

	agent_farewell(agent);
	quiesce_fini(agent);
	restore_fini();
	device_free(device);
	listener_free(listener);
	return err;
}

/* All that serves a host, one above the other. */
static int run(struct agent *agent, const struct options *options)
{
	struct signals signals;
	int err;

	err = loop_init(&agent->loop);
	if (err)
		return fail("io_uring", err);
	err = signals_init(&signals, agent, options);
	if (err) {
		fail("signals", err);
		goto fini_loop;
	}
	err = agent_init(agent);
	if (err) {
		fail("agent", err);
		goto fini_signals;
	}
	err = sessions_init(agent);
	if (err) {
		fail("sessions", err);
		goto fini_agent;
	}
	err = host_socket_init(agent);
	if (err)
		goto fini_sessions;

	err = serve(agent, options);

	host_socket_fini(agent);
fini_sessions:
	sessions_fini(agent);
fini_agent:
	signals_fini(&signals);
	if (!loop_drain(&agent->loop, DRAIN_MS))
		log_debug("something was still under way");
	store_fini();
	agent_fini(agent);
	loop_fini(&agent->loop);
	return err;

fini_signals:
	signals_fini(&signals);
fini_loop:
	loop_fini(&agent->loop);
	return err;
}

static int configure(struct agent *agent, const struct options *options)
{
	struct config_error err;
	int code;

	code = options_load(options, &agent->config, &err);
	if (code)
		log_error("%s", err.text);
	else
		log_set_level(agent->config.log_level);
	return code;
}

int main(int argc, char **argv)
{
	struct options options;
	struct agent agent;
	int err;

	if (argc == 2 && !strcmp(argv[1], HEALTH_OPTION))
		return EXIT_DONE;
	if (init_is_us())
		init_start();
	hold_stdio();

	err = options_parse(&options, argc, argv);
	/* The kernel hands to init what it does not understand itself. */
	if (err && !init_is_us())
		return err < 0 ? EXIT_USAGE : EXIT_DONE;

	memset(&agent, 0, sizeof(agent));
	err = configure(&agent, &options);
	if (err || options.check)
		goto end;
	log_info("%s", KRINGD_AGENT);
	systemd_init();
	err = run(&agent, &options);
	systemd_fini();
	config_free(&agent.config);
end:
	if (init_is_us() && agent.stop == AGENT_STOP_EXIT)
		agent.stop = AGENT_STOP_POWEROFF;
	if (agent.stop != AGENT_STOP_EXIT) {
		init_end(agent.stop, agent.force);
		err = -EPERM;
	}
	return err ? EXIT_FAILED : EXIT_DONE;
}
