// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * kring ping: see how quickly the guest's agent answers. A broker passes both question and
 * answer on.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "json.h"

static const char help_text[] =
	"Usage: kring ping [OPTION...]\n"
	"\n"
	"Ask the guest's agent for an answer, again and again, until it is interrupted.\n"
	"\n"
	"  -c, --count N           ask N times\n"
	"  -i, --interval S        every S seconds (default 1)\n"
	"  -W, --timeout S         wait S seconds for the last answers (default 2)\n"
	"  -q, --quiet             the summary only\n"
	"  -j, --json              the summary as one JSON object, times in milliseconds\n"
	CLIENT_HELP
	"  -h, --help              show this\n"
	"\n"
	"Exit status: 0 all were answered, 1 one was not.\n";

static const struct option options[] = {
	{ "count", required_argument, NULL, 'c' },
	{ "interval", required_argument, NULL, 'i' },
	{ "timeout", required_argument, NULL, 'W' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "json", no_argument, NULL, 'j' },
	CLIENT_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* Questions whose time is kept; an answer later than that is none. */
#define ASKED_MAX	4096

/**
 * struct ping - questions and answers
 * @count: --count, 0: no end
 * @interval: --interval, microseconds
 * @timeout: --timeout, microseconds
 * @quiet: --quiet
 * @json: --json
 * @client: connection
 * @timer: of the next question, or of the end
 * @interrupts: SIGINT and SIGTERM
 * @asked: when, of the last ones, nanoseconds; 0: answered
 * @sent: questions
 * @answered: answers
 * @sum: of their times, in milliseconds, and @squares, @min, @max accordingly
 */
struct ping {
	uint64_t count;
	uint64_t interval;
	uint64_t timeout;
	bool quiet;
	bool json;
	struct client *client;
	sd_event_source *timer;
	sd_event_source *interrupts[2];
	uint64_t asked[ASKED_MAX];
	uint64_t sent;
	uint64_t answered;
	double sum;
	double squares;
	double min;
	double max;
};

static uint64_t ping_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void ping_ask(struct ping *ping)
{
	ping->sent++;
	ping->asked[ping->sent % ASKED_MAX] = ping_now();
	/* Without a connection it is as one that was lost on the way. */
	if (client_connected(ping->client))
		kring_mux_ping(client_mux(ping->client), ping->sent);
}

static void ping_wait(struct ping *ping, uint64_t usec)
{
	sd_event_source_set_time_relative(ping->timer, usec);
	sd_event_source_set_enabled(ping->timer, SD_EVENT_ONESHOT);
}

static void ping_count(struct ping *ping, uint64_t number, double ms)
{
	if (!ping->answered || ms < ping->min)
		ping->min = ms;
	if (!ping->answered || ms > ping->max)
		ping->max = ms;
	ping->answered++;
	ping->sum += ms;
	ping->squares += ms * ms;
	if (!ping->quiet)
		printf("answer %" PRIu64 ": %.3f ms\n", number, ms);
}

static void ping_answered(void *owner, uint64_t number)
{
	struct ping *ping = owner;
	uint64_t asked;

	if (!number || number > ping->sent || ping->sent - number >= ASKED_MAX)
		return;
	asked = ping->asked[number % ASKED_MAX];
	if (!asked)
		return;
	ping->asked[number % ASKED_MAX] = 0;
	ping_count(ping, number, (ping_now() - asked) / 1e6);
	if (ping->count && ping->answered == ping->count)
		client_stop(ping->client);
}

static int ping_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ping *ping = userdata;

	(void)source;
	(void)usec;
	if (ping->count && ping->sent == ping->count) {
		client_stop(ping->client);
		return 0;
	}
	ping_ask(ping);
	ping_wait(ping, ping->sent == ping->count ? ping->timeout : ping->interval);
	return 0;
}

static int ping_on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info,
			     void *userdata)
{
	struct ping *ping = userdata;

	(void)source;
	(void)info;
	client_stop(ping->client);
	return 0;
}

/* Newton's, as nothing else here is worth linking with libm. */
static double square_root(double value)
{
	double root = value > 1 ? value : 1;
	int i;

	for (i = 0; i < 64; i++)
		root = (root + value / root) / 2;
	return root;
}

static void ping_show(const struct ping *ping)
{
	double mean = ping->answered ? ping->sum / ping->answered : 0;
	double variance = ping->answered ? ping->squares / ping->answered - mean * mean : 0;
	double deviation = variance > 0 ? square_root(variance) : 0;
	struct json json = { .file = stdout };

	if (ping->json) {
		json_object(&json, NULL);
		json_unsigned(&json, "sent", ping->sent);
		json_unsigned(&json, "answered", ping->answered);
		json_double(&json, "min", ping->min);
		json_double(&json, "avg", mean);
		json_double(&json, "max", ping->max);
		json_double(&json, "mdev", deviation);
		json_object_end(&json);
		json_end(&json);
		return;
	}
	printf("%" PRIu64 " sent, %" PRIu64 " answered, %.0f%% lost\n", ping->sent,
	       ping->answered, 100.0 * (ping->sent - ping->answered) / ping->sent);
	if (ping->answered)
		printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", ping->min, mean,
		       ping->max, deviation);
}

static int ping_prepare(struct ping *ping)
{
	static const int signals[] = { SIGINT, SIGTERM };
	sd_event *loop = client_loop(ping->client);
	sigset_t set;
	int i, code;

	sigemptyset(&set);
	for (i = 0; i < 2; i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	for (i = 0; i < 2; i++) {
		code = sd_event_add_signal(loop, &ping->interrupts[i], signals[i],
					   ping_on_interrupt, ping);
		if (code < 0)
			return code;
	}
	code = sd_event_add_time_relative(loop, &ping->timer, CLOCK_MONOTONIC, 0, 1,
					  ping_on_timer, ping);
	if (code < 0)
		return code;
	return 0;
}

static int ping_run(struct ping *ping, const struct client_args *args, struct kring_error *err)
{
	int i, code;

	code = client_open(&ping->client, args, err);
	if (code)
		return TOOL_FAILED;
	client_on_pong(ping->client, ping_answered, ping);
	code = client_greet(ping->client, err);
	if (code)
		goto close_client;
	code = ping_prepare(ping);
	if (code)
		snprintf(err->text, sizeof(err->text), "ping: %s", strerror(-code));
	else
		code = client_run(ping->client, err);
close_client:
	sd_event_source_disable_unref(ping->timer);
	for (i = 0; i < 2; i++)
		sd_event_source_disable_unref(ping->interrupts[i]);
	client_close(ping->client);

	if (ping->sent)
		ping_show(ping);
	return code || ping->answered < ping->sent ? TOOL_FAILED : TOOL_DONE;
}

int cmd_ping(int argc, char **argv, struct kring_error *err)
{
	struct client_args args = CLIENT_ARGS_INIT;
	uint64_t interval = 1000, timeout = 2000;
	struct ping ping = { 0 };
	int opt, status;

	while ((opt = getopt_long(argc, argv, ":c:i:W:qjh", options, NULL)) >= 0) {
		status = client_option(&args, opt, optarg, err);
		if (status < 0)
			return TOOL_USAGE;
		if (status)
			continue;
		switch (opt) {
		case 'c':
			if (!parse_count(optarg, &ping.count))
				return tool_usage(err, "--count %.64s: not a number", optarg);
			break;
		case 'i':
			if (!parse_milliseconds(optarg, &interval))
				return tool_usage(err, "--interval %.64s: not a number of seconds",
						  optarg);
			break;
		case 'W':
			if (!parse_milliseconds(optarg, &timeout))
				return tool_usage(err, "--timeout %.64s: not a number of seconds",
						  optarg);
			break;
		case 'q':
			ping.quiet = true;
			break;
		case 'j':
			ping.json = true;
			ping.quiet = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return TOOL_DONE;
		default:
			return tool_bad_option(opt, argv, err);
		}
	}
	if (optind != argc)
		return tool_usage(err, "ping: what is %.64s?", argv[optind]);
	ping.interval = interval * 1000;
	ping.timeout = timeout * 1000;
	setlinebuf(stdout);
	return ping_run(&ping, &args, err);
}
