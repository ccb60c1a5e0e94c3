// SPDX-License-Identifier: Apache-2.0
#include "router.h"

#include <stdio.h>
#include <string.h>

#include "lib/check.h"

static const char *const prefix[] = {"api", "v1"};

#define PREFIX_SEGMENTS (sizeof(prefix) / sizeof(prefix[0]))

/* One segment against its pattern. What the parameters are goes to @ret and @ret_end (may be NULL: only look). */
static bool segment_fits(const char *pattern, size_t pattern_bytes, char *s, char **parameters,
			 char **ends, unsigned *count)
{
	const char *p = pattern, *end = pattern + pattern_bytes;

	while (p < end) {
		if (*p != '{') {
			if (*p++ != *s++) {
				return false;
			}
			continue;
		}
		p = memchr(p, '}', (size_t)(end - p));
		CHECK(p != NULL && *count < ROUTER_PARAMETERS_MAX);
		p++;
		char *stop = p < end ? strchr(s, *p) : s + strlen(s);

		if (stop == NULL || stop == s) {
			return false;
		}
		parameters[*count] = s;
		ends[(*count)++] = stop;
		s = stop;
	}
	return *s == '\0';
}

/* Number of parameters, or -1 when the path is another one. */
static int path_fits(const struct route *route, const struct target *t, char **parameters,
		     char **ends)
{
	const char *p = route->path;
	unsigned count = 0;

	for (unsigned i = PREFIX_SEGMENTS; i < t->segment_count; i++) {
		if (*p++ != '/') {
			return -1;
		}
		size_t n = strcspn(p, "/");

		if (!segment_fits(p, n, t->segments[i], parameters, ends, &count)) {
			return -1;
		}
		p += n;
	}
	return *p == '\0' ? (int)count : -1;
}

static bool has_prefix(const struct target *t)
{
	for (unsigned i = 0; i < PREFIX_SEGMENTS; i++) {
		if (i >= t->segment_count || strcmp(t->segments[i], prefix[i]) != 0) {
			return false;
		}
	}
	return true;
}

static void add_allowed(char allow[64], const char *method)
{
	size_t n = strlen(allow);

	if (strstr(allow, method) == NULL) {
		snprintf(allow + n, 64 - n, "%s%s", n == 0 ? "" : ", ", method);
	}
}

struct search {
	const char *method;
	struct target *target;
	struct router_match *ret;
	int best;			   /* parameters of what was found; -1: nothing */
	char *ends[ROUTER_PARAMETERS_MAX]; /* of its parameters */
};

static void try_route(struct search *s, const struct route *route)
{
	char *parameters[ROUTER_PARAMETERS_MAX] = {NULL}, *ends[ROUTER_PARAMETERS_MAX] = {NULL};
	int count = path_fits(route, s->target, parameters, ends);

	if (count < 0) {
		return;
	}
	add_allowed(s->ret->allow, route->method);
	if (strcmp(route->method, s->method) == 0 && (s->best < 0 || count < s->best)) {
		s->best = count;
		s->ret->route = route;
		memcpy(s->ret->parameters, parameters, sizeof(parameters));
		memcpy(s->ends, ends, sizeof(ends));
	}
}

enum router_result router_find(const struct route_table *const *tables, const char *method,
			       struct target *target, struct router_match *ret)
{
	struct search s = {.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
			   .target = target,
			   .ret = ret,
			   .best = -1};

	*ret = (struct router_match){0};
	if (!has_prefix(target)) {
		return ROUTER_NO_PATH;
	}
	for (; *tables != NULL; tables++) {
		for (size_t i = 0; i < (*tables)->count; i++) {
			try_route(&s, &(*tables)->routes[i]);
		}
	}
	for (int i = 0; i < s.best; i++) {
		*s.ends[i] = '\0';
	}
	return s.best >= 0	       ? ROUTER_FOUND
	       : ret->allow[0] != '\0' ? ROUTER_NO_METHOD
				       : ROUTER_NO_PATH;
}

int router_parameter_index(const struct route *route, const char *name)
{
	size_t n = strlen(name);
	int index = 0;

	for (const char *p = strchr(route->path, '{'); p != NULL; p = strchr(p + 1, '{')) {
		if (strncmp(p + 1, name, n) == 0 && p[1 + n] == '}') {
			return index;
		}
		index++;
	}
	return -1;
}
