/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of routes, one for each file of handlers. */
#ifndef VMMS_ROUTES_H
#define VMMS_ROUTES_H

#include "api.h"

extern const struct route_table role_routes, event_routes, host_routes, metric_routes, disk_routes,
	switch_routes, openapi_routes, console_routes;
/* The core's. */
extern const struct route_table vm_routes, state_routes, job_routes, device_routes,
	device_list_routes, stats_routes, copy_routes, checkpoint_routes;

#endif
