// SPDX-License-Identifier: Apache-2.0
/* VMs as the API shows them. */
#include <string.h>

#include "cpu_policy.h"
#include "job.h"
#include "lib/check.h"
#include "process.h"
#include "vm.h"
#include "vmms.h"

/* Shorter than that a look at the processor's time says nothing. */
#define CPU_LOOK_NS (UINT64_C(500) * 1000000)

static void look_at_cpu(struct vm_worker *w, uint64_t cpu_ns)
{
	uint64_t now = host_now_ns(), since = now - w->cpu_at_ns;

	if (w->cpu_at_ns == 0 || since >= CPU_LOOK_NS) {
		w->cpu_percent = w->cpu_at_ns == 0 || cpu_ns < w->cpu_ns
					 ? 0
					 : 100.0 * (double)(cpu_ns - w->cpu_ns) / (double)since;
		w->cpu_ns = cpu_ns;
		w->cpu_at_ns = now;
	}
}

static void add_usage(struct vm *vm, json_t *o)
{
	struct process_usage usage = {0};
	bool running = vm->worker.pid != 0 && process_usage(vm->worker.pid, &usage);
	uint64_t up_ns =
		running && vm->worker.since_ns != 0 ? host_now_ns() - vm->worker.since_ns : 0;

	if (running) {
		look_at_cpu(&vm->worker, usage.cpu_ns);
	}
	json_object_set_new(o, "uptime_s", json_integer((json_int_t)(up_ns / 1000000000u)));
	json_object_set_new(
		o, "cpu_percent",
		json_real(running ? (double)(int)(vm->worker.cpu_percent * 10) / 10 : 0));
	json_object_set_new(o, "resident_bytes",
			    json_integer(running ? (json_int_t)usage.resident_bytes : 0));
}

static json_t *text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

/* What it runs on; what it is to run on is in its configuration. */
static void add_engine(const struct vm *vm, json_t *o)
{
	json_object_set_new(o, "engine", text_or_null(vm->worker.engine));
	json_object_set_new(o, "engine_reason", text_or_null(vm->worker.engine_reason));
}

static json_t *describe(struct vm *vm)
{
	const json_t *c = vm->configuration;
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:b, s:s?, s:I, s:I, s:s, s:s?, s:s?, s:I, s:O?}", "id", vm->id,
		"name", vm_name(vm), "state", vm_state_name(vm->state), "critical", vm->critical,
		"reason", vm->reason[0] == '\0' ? NULL : vm->reason, "processors",
		json_integer_value(json_object_get(json_object_get(c, "processors"), "count")),
		"memory_bytes",
		json_integer_value(json_object_get(json_object_get(c, "memory"), "startup_bytes")),
		"heartbeat", vm->heartbeat, "checkpoint",
		json_string_value(json_object_get(json_object_get(c, "checkpoints"), "parent")),
		"job", vm->job == NULL ? NULL : job_id(vm->job), "revision", vm_revision(vm),
		"ended", vm->ended);

	if (o == NULL) { /* a reason that names a file whose name is no UTF-8 */
		o = json_pack("{s:s, s:s, s:b, s:I}", "id", vm->id, "state",
			      vm_state_name(vm->state), "critical", vm->critical, "revision",
			      vm_revision(vm));
	}
	CHECK(o != NULL);
	add_usage(vm, o);
	add_engine(vm, o);
	return o;
}

/*
 * Lists of many VMs are made of what does not run: that is described once, until something of it changes. What it was made from is held on to, so that no other
 * object gets its address.
 */
static bool is_as_described(const struct vm *vm)
{
	const struct vm_described *d = &vm->described;

	return d->summary != NULL && d->configuration == vm->configuration &&
	       d->ended == vm->ended && d->state == vm->state;
}

void vm_forget_description(struct vm *vm)
{
	json_decref(vm->described.summary);
	json_decref(vm->described.configuration);
	json_decref(vm->described.ended);
	vm->described = (struct vm_described){.summary = NULL};
}

json_t *vm_summary(struct vm *vm)
{
	bool steady = !vm_is_active(vm) && vm->job == NULL && vm->reason[0] == '\0';

	if (steady && is_as_described(vm)) {
		return json_incref(vm->described.summary);
	}
	json_t *o = describe(vm);

	vm_forget_description(vm);
	if (steady) {
		vm->described =
			(struct vm_described){.summary = json_incref(o),
					      .configuration = json_incref(vm->configuration),
					      .ended = json_incref(vm->ended),
					      .state = vm->state};
	}
	return o;
}

json_t *vm_details(struct vm *vm)
{
	json_t *o = describe(vm), *c = json_copy(vm->configuration);

	CHECK(c != NULL);
	json_object_del(c, "format");
	json_object_set_new(o, "configuration", c);
	json_object_set_new(o, "cpu_policy", cpu_policy_vm_json(vm));
	json_object_set_new(o, "guest", vm->guest == NULL ? json_null() : json_incref(vm->guest));
	json_object_set_new(o, "addresses",
			    vm->addresses == NULL ? json_array() : json_incref(vm->addresses));
	return o;
}
