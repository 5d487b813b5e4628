/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The agent: the streams of one host, and the services that it may open.
 *
 * Links come and go: /dev/kring may be unplugged, the peer of a socket may leave. Without
 * one there are no streams. When one comes, both sides say Hello; until the host has, it
 * may open nothing.
 */
#ifndef KRINGD_AGENT_H
#define KRINGD_AGENT_H

#include <message.h>
#include <mux.h>

#include "config.h"
#include "loop.h"

#define KRINGD_VERSION	"0.1"
#define KRINGD_AGENT	"kringd " KRINGD_VERSION

struct link;
struct sessions;
struct host_socket;
struct serve;
struct agent;

/**
 * struct service - what a host can open a stream to; each in a file of its own
 * @name: as in Open.service
 * @request: type of Open.request, NULL: it has none
 * @open: a host has opened it: answer with kring_accept() or kring_reset(), now or later.
 *	@request is freed after the call.
 */
struct service {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	void (*open)(struct agent *agent, struct kring_stream *stream, const void *request);
};

/* service.c: all there are, NULL behind the last, and how many */
extern const struct service *const services[];
extern const unsigned int services_count;

const struct service *service_find(const char *name);

/* How the daemon's run ends. */
enum agent_stop {
	AGENT_STOP_EXIT,
	AGENT_STOP_POWEROFF,
	AGENT_STOP_REBOOT,
	AGENT_STOP_HALT,
};

/**
 * struct agent_strange - log lines about the host, which may give cause for any number
 * @second: in which the last was logged
 * @logged: lines in that second
 * @unlogged: since the last line
 */
struct agent_strange {
	uint64_t second;
	unsigned int logged;
	unsigned long unlogged;
};

/**
 * struct agent - the daemon's one object: what its services need of each other
 * @loop: event loop
 * @config: as the configuration file has it
 * @link: where frames come from and go to, NULL: there is no host
 * @sysfs: the device's directory, empty: the link is none
 * @mux: the streams: those of the device outlive the link
 * @hello: what host and guest have said
 * @allowed: names of the services that the host may open, NULL behind the last
 * @sessions: of exec
 * @host_socket: where guest programs connect
 * @serves: streams of service "serve", the last one first
 * @started: when, CLOCK_BOOTTIME nanoseconds
 * @stop: how the run ends
 * @force: and at once
 * @strange: what was logged of it
 * @idle: waits for the agent to have nothing to do
 */
struct agent {
	struct loop loop;
	struct config config;
	struct link *link;
	char sysfs[40];
	struct kring_mux *mux;
	struct kring_hello hello;
	const char **allowed;
	struct sessions *sessions;
	struct host_socket *host_socket;
	struct serve *serves;
	uint64_t started;
	enum agent_stop stop;
	bool force;
	struct agent_strange strange;
	struct loop_op idle;
};

/* @agent->loop and @agent->config are there. 0 or a negative errno. */
int agent_init(struct agent *agent);
void agent_fini(struct agent *agent);

/**
 * agent_link_up() - there is a way to a host: say Hello
 * @agent: agent
 * @link: the way; frames may be pulled from @agent->mux from now on
 * @frame_max: longest frame that it takes, KRING_STREAM_FRAME_MIN at least
 * @generation: of the region, 0: there is none
 *
 * Return: 0 or -ENOMEM.
 */
int agent_link_up(struct agent *agent, struct link *link, uint32_t frame_max,
		  uint64_t generation);

/* The host has another generation now, or may open other services: say Hello anew. */
void agent_link_changed(struct agent *agent, uint64_t generation);

/*
 * There is no way to the host any more. Where it may come back by another one (@keep), streams wait
 * for that; else they are over, @why for their owners.
 */
void agent_link_down(struct agent *agent, bool keep, const char *why);

/* Whether there is a host, and it has said Hello: streams may be opened to it. */
bool agent_connected(const struct agent *agent);

/*
 * Whether one more may be, on behalf of a guest program: a host that does not answer must not
 * cost us a descriptor for each connection that somebody makes.
 */
bool agent_may_open(const struct agent *agent);

/* The host has opened @stream, with that encoded Open, and nothing is in the way of its service. */
void agent_open(struct agent *agent, struct kring_stream *stream, const void *open, size_t len);

/* The configuration's allow and deny have changed. 0 or -ENOMEM */
int agent_set_allowed(struct agent *agent);

/* The host has sent nonsense, or was refused: a line in the log, unless there are many. */
void agent_strange(struct agent *agent, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* End the daemon's run. What waits to be sent still goes out. */
void agent_stop(struct agent *agent, enum agent_stop how);

/* A last word to the host: no stream lives on, and none may be opened. */
void agent_farewell(struct agent *agent);

#endif /* KRINGD_AGENT_H */
