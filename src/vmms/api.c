// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "exchange_state.h"
#include "roles.h"

struct api {
	struct vmms *vmms;
	struct loop *loop;
	const struct api_hooks *hooks;
	const struct route_table *const *tables;
	struct roles *roles;
	struct audit *audit;
	struct exchange *exchanges;
	struct api_kept slots[API_SLOTS];
	struct http *http;
	uint64_t heartbeat_ns;
};

int api_create(struct vmms *v, struct loop *loop, const struct api_hooks *hooks,
	       const struct api_config *config, const struct route_table *const *tables,
	       struct api **ret, char *error, size_t size)
{
	struct api *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	a->vmms = v;
	a->loop = loop;
	a->hooks = hooks;
	a->tables = tables;
	a->heartbeat_ns =
		(config->heartbeat_s == 0 ? 15 : config->heartbeat_s) * UINT64_C(1000000000);
	int r = roles_create(config->roles_path, &a->roles, error, size);

	if (r == 0 && config->audit_path != NULL) {
		r = audit_create(config->audit_path, config->tasks, &a->audit, error, size);
	}

	if (r < 0) {
		api_destroy(a);
		return r;
	}
	*ret = a;
	return 0;
}

void api_destroy(struct api *a)
{
	if (a == NULL) {
		return;
	}
	api_drop_slots(a);
	while (a->exchanges != NULL) {
		struct exchange *x = a->exchanges;

		api_remove_exchange(a, x);
		x->api = NULL;
		exchange_destroy(x);
	}
	audit_destroy(a->audit);
	roles_destroy(a->roles);
	free(a);
}

struct vmms *api_vmms(const struct api *a)
{
	return a->vmms;
}

struct loop *api_loop(const struct api *a)
{
	return a->loop;
}

const struct api_hooks *api_hooks(const struct api *a)
{
	return a->hooks;
}

const struct route_table *const *api_tables(const struct api *a)
{
	return a->tables;
}

struct roles *api_roles(const struct api *a)
{
	return a->roles;
}

struct audit *api_audit(const struct api *a)
{
	return a->audit;
}

void api_add_exchange(struct api *a, struct exchange *x)
{
	x->next = a->exchanges;
	x->previous = NULL;
	if (x->next != NULL) {
		x->next->previous = x;
	}
	a->exchanges = x;
}

void api_remove_exchange(struct api *a, struct exchange *x)
{
	if (x->previous != NULL) {
		x->previous->next = x->next;
	} else if (a->exchanges == x) {
		a->exchanges = x->next;
	}
	if (x->next != NULL) {
		x->next->previous = x->previous;
	}
	x->next = x->previous = NULL;
}

struct api_kept *api_slot(struct api *a, enum api_slot slot)
{
	return &a->slots[slot];
}

void api_drop_slots(struct api *a)
{
	for (unsigned i = 0; i < API_SLOTS; i++) {
		struct api_kept kept = a->slots[i];

		if (kept.destroy != NULL) {
			kept.destroy(kept.data);
			a->slots[i] = (struct api_kept){0};
		}
	}
}

void api_set_http(struct api *a, struct http *h)
{
	a->http = h;
}

const struct http *api_http(const struct api *a)
{
	return a->http;
}

uint64_t api_heartbeat_ns(const struct api *a)
{
	return a->heartbeat_ns;
}
