/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The configuration file: what kringd.conf says. What it says not is as in config_init().
 */
#ifndef KRINGD_CONFIG_H
#define KRINGD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_PATH	"/etc/kring/kringd.conf"

/**
 * struct config - the file's keys, under their names
 * @device: path, NULL: the first one that there is
 * @doorbell: of the device, for VMMs whose doorbell the driver does not have; NULL: none
 * @host_socket: where guest programs reach services of the host, NULL: nowhere
 * @allow: patterns of services that the host may open, NULL behind the last; NULL: all
 * @deny: patterns of services that it may not open all the same; NULL: none
 * @env: NAME=VALUE for programs that are started, NULL behind the last; NULL: none
 * @log_level: LOG_ERR to LOG_DEBUG
 * @streams_max: streams that the host may have open
 * @sessions_max: programs that run, or have ended and are kept
 * @orphan_time: seconds that a program has whose host has gone with the agent before
 * @window: bytes of credit of each channel
 * @memory_max: bytes that all streams' buffers may take
 * @clock: a restored guest's clock is set
 * @restore_d: directory of hooks to be run in a restored guest; NULL: none
 * @freeze_d: the same, before it is saved
 * @thaw_d: the same, behind that
 * @hook_timeout: seconds that each may take
 * @from_file: there was a file
 *
 * All strings are the config's own.
 */
struct config {
	char *device;
	char *doorbell;
	char *host_socket;
	char **allow;
	char **deny;
	char **env;
	int log_level;
	uint32_t streams_max;
	uint32_t sessions_max;
	uint32_t orphan_time;
	uint32_t window;
	uint64_t memory_max;
	bool clock;
	char *restore_d;
	char *freeze_d;
	char *thaw_d;
	uint32_t hook_timeout;
	bool from_file;
};

/* What is wrong with a file, for a person. */
struct config_error {
	char text[256];
};

/* 0 or -ENOMEM. */
int config_init(struct config *config, struct config_error *err);
void config_free(struct config *config);

/**
 * config_load() - read a file
 * @config: the new one
 * @path: of the file; NULL: CONFIG_PATH, which may be missing
 * @err: filled on failure, with the line's number
 *
 * Return: 0 or a negative errno, and then there is nothing to free.
 */
int config_load(struct config *config, const char *path, struct config_error *err);

/* Give one key a value. 0, or a negative errno and @config is freed. */
int config_set(struct config *config, const char *key, const char *value,
	       struct config_error *err);

/**
 * config_reload() - take over from @fresh what may change while kringd runs
 * @config: the present one
 * @fresh: the new one, freed
 *
 * Return: the name of a key that differs and would need a restart, or NULL.
 */
const char *config_reload(struct config *config, struct config *fresh);

/* Whether the host may open the service called @name. */
bool config_allows(const struct config *config, const char *name);

#endif /* KRINGD_CONFIG_H */
