// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "cpu_policy.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "link.h"
#include "routes.h"
#include "vm.h"
#include "vmms.h"

struct asking {
	struct call *call; /* NULL: the client went */
	struct vmms *vmms;
	char id[GUID_TEXT_BYTES];
};

/* What the kernel counts for its processes. */
static void add_group(const struct vm *vm, json_t *stats)
{
	struct hostcpu_usage u;

	if (cpu_policy_usage(vm, &u)) {
		json_object_set_new(stats, "cpu",
				    json_pack("{s:I, s:I, s:I, s:I}", "usage_us",
					      (json_int_t)u.usage_us, "throttled_us",
					      (json_int_t)u.throttled_us, "periods",
					      (json_int_t)u.periods, "throttled_periods",
					      (json_int_t)u.throttled_periods));
	}
}

static void answer(struct call *c, struct vm *vm)
{
	json_t *o = vm_summary(vm), *stats = json_object();

	json_object_set_new(stats, "state", json_incref(json_object_get(o, "state")));
	json_object_set_new(stats, "uptime_s", json_incref(json_object_get(o, "uptime_s")));
	json_object_set_new(stats, "cpu_percent", json_incref(json_object_get(o, "cpu_percent")));
	json_object_set_new(stats, "resident_bytes",
			    json_incref(json_object_get(o, "resident_bytes")));
	add_group(vm, stats);
	if (vm->worker.stats != NULL) {
		json_object_update_missing(stats, vm->worker.stats);
	}
	json_decref(o);
	call_ok(c, stats);
}

static void on_fresh(void *ctx, const char *text)
{
	struct asking *a = ctx;
	struct vm *vm = vm_find_id(a->vmms, a->id);

	if (a->call != NULL && vm == NULL) {
		call_refuse(a->call, API_NOT_FOUND, NULL, "the VM was removed meanwhile");
	} else if (a->call != NULL) {
		if (link_is_ok(text)) {
			vm_stats_take(vm, text);
		}
		answer(a->call, vm);
	}
	free(a);
}

static void on_gone(void *ctx, struct call *c)
{
	(void)c;
	((struct asking *)ctx)->call = NULL;
}

/* Of a running VM what it counts now. */
static void stats(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	struct asking *a;

	if (vm == NULL) {
		return;
	}
	if (vm->worker.link == NULL) {
		answer(c, vm);
		return;
	}
	a = calloc(1, sizeof(*a));
	CHECK(a != NULL);
	*a = (struct asking){.call = c, .vmms = c->vmms};
	__builtin_memcpy(a->id, vm->id, sizeof(a->id));
	call_hold(c, on_gone, a);
	link_ask_words(vm->worker.link, on_fresh, a, -1, "stats", NULL);
}

static const struct route routes[] = {
	{"GET", "/vms/{vm}/stats", RIGHT_READ, false, stats, "Shows what a VM uses and counts",
	 NULL, "Stats"},
};

const struct route_table stats_routes = {routes, ARRAY_LEN(routes)};
