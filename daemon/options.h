/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The command line.
 */
#ifndef KRINGD_OPTIONS_H
#define KRINGD_OPTIONS_H

#include <stdbool.h>

#include "config.h"

/**
 * struct options - what the command line says
 * @config: path of the configuration, NULL: the usual one
 * @device: in place of the configuration's
 * @doorbell: in place of the configuration's
 * @listen: path of a socket to serve in place of a device
 * @log_level: in place of the configuration's
 * @check: read the configuration, and no more
 */
struct options {
	const char *config;
	const char *device;
	const char *doorbell;
	const char *listen;
	const char *log_level;
	bool check;
};

/* 0: go on; 1: all is done; -EINVAL, and the reason was printed. */
int options_parse(struct options *options, int argc, char **argv);

/* The configuration, with what the command line has in place of it. As config_load() */
int options_load(const struct options *options, struct config *config,
		 struct config_error *err);

#endif /* KRINGD_OPTIONS_H */
