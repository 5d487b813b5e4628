// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Addresses that the host sends as text.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "address.h"
#include "hosts.h"

#define HOST_MAX	256

#define VSOCK_DIR	"/run/kring/vsock"

static void add(struct addresses *addresses, const void *sa, socklen_t len)
{
	struct address *address;

	if (addresses->count == ADDRESSES_MAX)
		return;
	address = &addresses->list[addresses->count++];
	address->len = len;
	memcpy(&address->sa, sa, len);
}

static bool parse_port(const char *text, bool passive, uint16_t *port)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	number = strtoul(text, &end, 10);
	if (*end || number > UINT16_MAX || (!number && !passive))
		return false;
	*port = number;
	return true;
}

/* True when @host is a number, of the form that inet_pton(3) takes. */
static bool add_number(struct addresses *addresses, const char *host, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	char number[HOST_MAX];
	char *scope;

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		add(addresses, &v4, sizeof(v4));
		return true;
	}
	snprintf(number, sizeof(number), "%s", host);
	scope = strchr(number, '%');
	if (scope) {
		*scope++ = '\0';
		v6.sin6_scope_id = if_nametoindex(scope);
		if (!v6.sin6_scope_id)
			return false;
	}
	if (inet_pton(AF_INET6, number, &v6.sin6_addr) != 1)
		return false;
	add(addresses, &v6, sizeof(v6));
	return true;
}

struct lookup {
	struct addresses *addresses;
	uint16_t port;
};

static void add_found(void *owner, const char *number)
{
	struct lookup *lookup = owner;

	add_number(lookup->addresses, number, lookup->port);
}

static int add_host(struct addresses *addresses, const char *host, uint16_t port)
{
	struct lookup lookup = { addresses, port };

	if (add_number(addresses, host, port))
		return 0;
	/* Whatever /etc/hosts says, it is this machine. */
	if (!strcmp(host, "localhost")) {
		add_number(addresses, "127.0.0.1", port);
		add_number(addresses, "::1", port);
		return 0;
	}
	hosts_find(host, add_found, &lookup);
	return addresses->count ? 0 : -ENOENT;
}

int addresses_tcp(struct addresses *addresses, const char *text, bool passive)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	char name[HOST_MAX];
	uint16_t port;
	size_t len;

	addresses->count = 0;
	if (!parse_port(colon ? colon + 1 : text, passive, &port))
		return -EINVAL;
	if (!colon)
		return passive ? add_host(addresses, "127.0.0.1", port) : -EINVAL;

	len = colon - text;
	if (text[0] == '[') {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		host++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		/* Where would its port begin? */
		return -EINVAL;
	}
	if (!len)
		return passive ? add_host(addresses, "127.0.0.1", port) : -EINVAL;
	if (len >= sizeof(name))
		return -E2BIG;
	memcpy(name, host, len);
	name[len] = '\0';
	return add_host(addresses, name, port);
}

int addresses_unix(struct addresses *addresses, const void *path, size_t len)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *bytes = path;

	addresses->count = 0;
	if (!len || memchr(bytes, '\0', len) || (bytes[0] == '@' && len == 1))
		return -EINVAL;
	if (bytes[0] != '@' && bytes[0] != '/')
		return -EINVAL;
	if (len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, bytes, len);
	if (bytes[0] == '@')
		sa.sun_path[0] = '\0';
	/* The NUL at its end belongs to a path, and would belong to an abstract name too. */
	add(addresses, &sa, offsetof(struct sockaddr_un, sun_path) + len + (bytes[0] == '/'));
	return 0;
}

void addresses_vsock(struct addresses *addresses, uint32_t port)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_LOCAL,
		.svm_port = port,
	};
	char path[64];
	int len;

	len = snprintf(path, sizeof(path), VSOCK_DIR "/%u", port);
	addresses_unix(addresses, path, len);
	addresses->list[1] = addresses->list[0];
	addresses->count = 0;
	add(addresses, &vm, sizeof(vm));
	addresses->count++;
	if (port && port <= UINT16_MAX)
		add_number(addresses, "127.0.0.1", port);
}

static const char *unix_text(const struct address *address, char buf[ADDRESS_TEXT])
{
	const struct sockaddr_un *sa = (const struct sockaddr_un *)&address->sa;
	int len = address->len - offsetof(struct sockaddr_un, sun_path);

	if (len > 0 && !sa->sun_path[0])
		snprintf(buf, ADDRESS_TEXT, "@%.*s", len - 1, sa->sun_path + 1);
	else
		snprintf(buf, ADDRESS_TEXT, "%.*s", len > 0 ? len : 0, sa->sun_path);
	return buf;
}

const char *address_text(const struct address *address, char buf[ADDRESS_TEXT])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->sa;
	const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&address->sa;
	char host[INET6_ADDRSTRLEN];

	switch (address->sa.ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(buf, ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
		return buf;
	case AF_INET6:
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(buf, ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
		return buf;
	case AF_UNIX:
		return unix_text(address, buf);
	case AF_VSOCK:
		snprintf(buf, ADDRESS_TEXT, "vsock port %u", vm->svm_port);
		return buf;
	default:
		snprintf(buf, ADDRESS_TEXT, "address of family %u", address->sa.ss_family);
		return buf;
	}
}
