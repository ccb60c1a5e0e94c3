// SPDX-License-Identifier: Apache-2.0
/* What a request is for, and whether who asks may: its route, its VM, its caller. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "exchange_state.h"
#include "lib/check.h"
#include "roles.h"

#define CANDIDATES_MAX 16u

/* ---- What is asked ---- */

bool exchange_find_route(struct exchange *x, const struct exchange_request *q)
{
	struct router_match m;
	struct reply r = {.status = 405};
	char text[1024];

	if (!target_parse(&x->target, q->target, text, sizeof(text))) {
		exchange_refuse(x, 400, "invalid", "%s", text);
		return false;
	}
	switch (router_find(api_tables(x->api), q->method, &x->target, &m)) {
	case ROUTER_FOUND:
		x->route = m.route;
		memcpy(x->call.parameters, m.parameters, sizeof(m.parameters));
		return true;
	case ROUTER_NO_METHOD:
		snprintf(r.allow, sizeof(r.allow), "%s", m.allow);
		if (strcmp(q->method, "OPTIONS") == 0) {
			r.status = 204;
			exchange_reply(x, &r, NULL);
			return false;
		}
		snprintf(text, sizeof(text), "%.16s is not possible on %.700s; expected %s",
			 q->method, q->target, m.allow);
		exchange_error(x, &r, "method", text, NULL);
		return false;
	case ROUTER_NO_PATH:
	default:
		exchange_refuse(x, 404, "not-found",
				"there is no %.700s here; " API_PREFIX
				"/openapi.json lists what there is",
				q->target);
		return false;
	}
}

/* ---- Which VM ---- */

struct vm_search {
	struct exchange *x;
	unsigned found;
	json_t *candidates;
};

/* What the caller may not see is not there. */
static bool on_vm(void *ctx, const char *id, const char *name)
{
	struct vm_search *s = ctx;

	if (!caller_may(&s->x->caller, id, RIGHT_READ)) {
		return true;
	}
	if (s->found++ == 0) {
		snprintf(s->x->vm_id, sizeof(s->x->vm_id), "%s", id);
	}
	if (json_array_size(s->candidates) < CANDIDATES_MAX) {
		json_array_append_new(s->candidates,
				      json_pack("{s:s, s:s}", "id", id, "name", name));
	}
	return true;
}

/* The parameter {vm} becomes the VM's id. */
bool exchange_find_vm(struct exchange *x)
{
	const struct api_hooks *hooks = api_hooks(x->api);
	int index = router_parameter_index(x->route, "vm");
	struct vm_search s = {.x = x};

	if (index < 0 || hooks->each_vm == NULL) {
		return true;
	}
	const char *text = x->call.parameters[index];

	s.candidates = json_array();
	hooks->each_vm(x->call.vmms, text, on_vm, &s);
	if (s.found == 1) {
		json_decref(s.candidates);
		x->call.parameters[index] = x->vm_id;
		return true;
	}
	if (s.found == 0) {
		json_decref(s.candidates);
		exchange_refuse(x, 404, "not-found", "there is no VM with the name or id '%.500s'",
				text);
		return false;
	}
	call_refuse(&x->call, API_AMBIGUOUS, json_pack("{s:o}", "candidates", s.candidates),
		    "%u VMs have the name '%.500s'; say which by its id", s.found, text);
	return false;
}

/* ---- Rights ---- */

static const char *role_for(enum right right)
{
	static const char *const roles[] = {
		[RIGHT_READ] = "viewer",
		[RIGHT_OPERATE] = "operator",
		[RIGHT_CHANGE] = "administrator",
		[RIGHT_HOST] = "administrator",
	};

	return roles[right];
}

/* Reading what is no VM's own is for everybody who has a role: lists show only what is theirs. */
static bool is_allowed(const struct exchange *x)
{
	if (x->vm_id[0] != '\0' && x->route->right != RIGHT_HOST) {
		return caller_may(&x->caller, x->vm_id, x->route->right);
	}
	return x->route->right == RIGHT_READ || caller_may(&x->caller, NULL, x->route->right);
}

bool exchange_check_rights(struct exchange *x)
{
	if (is_allowed(x)) {
		return true;
	}
	exchange_refuse(x, 403, "denied", "%s may not do this; it takes the role %s for %s",
			x->caller.name, role_for(x->route->right),
			x->vm_id[0] != '\0' && x->route->right != RIGHT_HOST ? "this VM or the host"
									     : "the host");
	return false;
}

bool exchange_check_caller(struct exchange *x, const struct exchange_request *q)
{
	roles_caller(api_roles(x->api), q->who, &x->caller);
	if (!caller_is_known(&x->caller)) {
		exchange_refuse(x, 403, "denied",
				"%s has no role here; an administrator can give one",
				x->caller.name);
		return false;
	}
	/* A page that somebody's browser shows must not use that somebody's certificate or password. */
	if (q->origin != NULL && strcmp(q->method, "GET") != 0 && strcmp(q->method, "HEAD") != 0) {
		exchange_refuse(x, 403, "denied",
				"changes do not come from web pages (Origin: %.100s)", q->origin);
		return false;
	}
	return true;
}
