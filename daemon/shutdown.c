// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Service "shutdown": by systemd or whatever init there is, or, as PID 1 or by force, by
 * kringd itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"
#include "log.h"
#include "services.h"

/**
 * struct shutdown - init is being asked
 * @stream: who wants it, NULL: gone
 * @helper: the program that asks
 */
struct shutdown {
	struct kring_stream *stream;
	struct helper helper;
};

static const struct {
	enum agent_stop stop;
	const char *name;
	const char *program;
} verbs[] = {
	[KRING__SHUTDOWN__HOW__POWEROFF] = { AGENT_STOP_POWEROFF, "poweroff", "/sbin/poweroff" },
	[KRING__SHUTDOWN__HOW__REBOOT] = { AGENT_STOP_REBOOT, "reboot", "/sbin/reboot" },
	[KRING__SHUTDOWN__HOW__HALT] = { AGENT_STOP_HALT, "halt", "/sbin/halt" },
};

static void shutdown_reset(struct kring_stream *stream, const void *error, size_t len)
{
	struct shutdown *shutdown = kring_stream_owner(stream);

	(void)error;
	(void)len;
	shutdown->stream = NULL;
}

static const struct kring_stream_ops shutdown_ops = {
	.reset = shutdown_reset,
};

static void shutdown_asked(struct helper *helper, int status)
{
	struct shutdown *shutdown = container_of(helper, struct shutdown, helper);
	char text[64];

	if (status)
		log_error("shutdown: the program %s",
			  helper_status_text(status, text, sizeof(text)));
	if (shutdown->stream && status)
		kring_reset(shutdown->stream, EIO, "shutdown", "the program %s",
			    helper_status_text(status, text, sizeof(text)));
	else if (shutdown->stream)
		kring_close(shutdown->stream, NULL);
	free(shutdown);
}

/* The program by which this guest's init is told: 0, or -ENOENT. */
static int shutdown_program(unsigned int how, char *argv[4])
{
	static const char *const systemctl[] = { "/usr/bin/systemctl", "/bin/systemctl" };
	unsigned int i;

	if (!access("/run/systemd/system", F_OK))
		for (i = 0; i < 2; i++)
			if (!access(systemctl[i], X_OK)) {
				argv[0] = (char *)systemctl[i];
				argv[1] = (char *)"--no-block";
				argv[2] = (char *)verbs[how].name;
				argv[3] = NULL;
				return 0;
			}
	argv[0] = (char *)verbs[how].program;
	argv[1] = NULL;
	return access(argv[0], X_OK) ? -ENOENT : 0;
}

static void shutdown_ask(struct agent *agent, struct kring_stream *stream, unsigned int how)
{
	struct shutdown *shutdown;
	char *argv[4];
	int err;

	if (shutdown_program(how, argv)) {
		kring_reset(stream, EOPNOTSUPP, "shutdown",
			    "this guest's init cannot be asked; it can be forced");
		return;
	}
	shutdown = calloc(1, sizeof(*shutdown));
	if (!shutdown || kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "shutdown", "out of memory");
		goto free_shutdown;
	}
	err = helper_start(&shutdown->helper, &agent->loop, argv, -1, shutdown_asked);
	if (err) {
		kring_reset(stream, -err, "shutdown", "%s: %s", argv[0], strerror(-err));
		goto free_shutdown;
	}
	shutdown->stream = stream;
	kring_stream_set_ops(stream, &shutdown_ops, shutdown);
	return;

free_shutdown:
	free(shutdown);
}

static void shutdown_open(struct agent *agent, struct kring_stream *stream, const void *message)
{
	const Kring__Shutdown *request = message;
	unsigned int how = request->how;

	if (how >= ARRAY_SIZE(verbs)) {
		kring_reset(stream, EINVAL, "shutdown", "%u: no way to shut down", how);
		return;
	}
	log_info("shutdown: %s%s", verbs[how].name, request->force ? ", by force" : "");
	if (!request->force && getpid() != 1) {
		shutdown_ask(agent, stream, how);
		return;
	}
	if (kring_accept(stream, NULL, 0)) {
		kring_reset(stream, ENOMEM, "shutdown", "out of memory");
		return;
	}
	kring_close(stream, NULL);
	agent->force = request->force;
	agent_stop(agent, verbs[how].stop);
}

const struct service service_shutdown = {
	.name = "shutdown",
	.request = &kring__shutdown__descriptor,
	.open = shutdown_open,
};
