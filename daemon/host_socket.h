/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * /run/kring/host.sock: where programs of the guest reach services of the host.
 *
 * A program connects, writes "CONNECT NAME\n" and reads one line: "OK NAME\n", and from then
 * on it is connected with that service; or "ERROR WHY\n" and the end.
 */
#ifndef KRINGD_HOST_SOCKET_H
#define KRINGD_HOST_SOCKET_H

struct agent;

/*
 * Listens where the configuration says, or on the socket that systemd has passed. 0, also
 * where nothing is configured, or a negative errno, and the reason has been logged.
 */
int host_socket_init(struct agent *agent);

/* Stop listening. What is under way ends in the loop, which then frees it. */
void host_socket_fini(struct agent *agent);

#endif /* KRINGD_HOST_SOCKET_H */
