// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The table of services.
 */
#include <string.h>

#include "services.h"

const struct service *const services[] = {
	&service_exec,
	&service_attach,
	&service_ps,
	&service_kill,
	&service_stat,
	&service_list,
	&service_mkdir,
	&service_remove,
	&service_rename,
	&service_symlink,
	&service_attributes,
	&service_get,
	&service_put,
	&service_connect,
	&service_listen,
	&service_serve,
	&service_info,
	&service_health,
	&service_clock,
	&service_shutdown,
	&service_log,
	&service_quiesce,
	&service_thaw,
	NULL
};

const unsigned int services_count = ARRAY_SIZE(services) - 1;

const struct service *service_find(const char *name)
{
	const struct service *const *service;

	for (service = services; *service; service++)
		if (!strcmp((*service)->name, name))
			return *service;
	return NULL;
}
