// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <stddef.h>

const struct route_table *const vmms_routes[] = {
	&vm_routes,
	&checkpoint_routes,
	&state_routes,
	&job_routes,
	&console_routes,
	&stats_routes,
	&copy_routes,
	&device_routes,
	&device_list_routes,
	&disk_routes,
	&switch_routes,
	&host_routes,
	&role_routes,
	&event_routes,
	&metric_routes,
	&openapi_routes,
	NULL,
};
