/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the route for a method and path. */
#ifndef VMMS_ROUTER_H
#define VMMS_ROUTER_H

#include "api.h"
#include "target.h"

#define ROUTER_PARAMETERS_MAX 3u

enum router_result {
	ROUTER_FOUND,
	ROUTER_NO_PATH,	  /* nothing has this path */
	ROUTER_NO_METHOD, /* the path has other methods */
};

struct router_match {
	const struct route *route;
	char *parameters
		[ROUTER_PARAMETERS_MAX]; /* in the target's text, which is cut up for them */
	char allow[64];			 /* ROUTER_NO_METHOD: "GET, POST" */
};

/*
 * Of several routes that fit, the one with the fewest parameters. A parameter is a whole segment, or a part of one that ends at the character
 * that follows it in the route's path ("{controller}:{location}"). HEAD finds GET's routes.
 */
enum router_result router_find(const struct route_table *const *tables, const char *method,
			       struct target *target, struct router_match *ret);
/* The index of the parameter called @name in @route's path; -1: it has none. */
int router_parameter_index(const struct route *route, const char *name);

#endif
