/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The environment of a program that a host starts.
 */
#ifndef KRINGD_ENVIRONMENT_H
#define KRINGD_ENVIRONMENT_H

#include <kring/agent.pb-c.h>

#include "config.h"
#include "identity.h"

/**
 * environment_new() - put it together
 * @config: kringd.conf
 * @identity: user
 * @exec: request
 * @failure: filled on failure
 *
 * What comes first here counts: that of the request, of kringd.conf, of the user (HOME,
 * USER, LOGNAME, SHELL), TERM where there is a terminal, the agent's own without what
 * systemd has put there for it alone. With clear_env it is the request's alone.
 *
 * Return: NULL behind the last; to be freed with free(). Or NULL.
 */
char **environment_new(const struct config *config, const struct identity *identity,
		       const struct Kring__Exec *exec, struct failure *failure);

/**
 * strings_new() - strings of bytes
 * @bytes: of the peer's
 * @count: of them
 * @extra: more of them will be added
 *
 * Return: NULL behind the last, all in one piece to be freed with free(). Or NULL: errno is
 * ENOMEM, or EINVAL: there is a NUL in one.
 */
char **strings_new(const ProtobufCBinaryData *bytes, size_t count, size_t extra);

#endif /* KRINGD_ENVIRONMENT_H */
