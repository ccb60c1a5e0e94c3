// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_parts.h"
#include "host/log.h"
#include "lib/check.h"
#include "vm.h"
#include "vmms.h"

/* A worker's copy that writes a saved state may live a little longer than it. */
#define SWEEP_AGAIN_NS (UINT64_C(1000) * 1000000)

struct cpu_policy *cpu_policy_create(struct vmms *v)
{
	struct cpu_policy *p = calloc(1, sizeof(*p));
	char key[16];
	uint32_t hash = 2166136261u; /* FNV-1a */

	CHECK(p != NULL);
	for (const char *at = v->state; *at != '\0'; at++) {
		hash = (hash ^ (unsigned char)*at) * 16777619u;
	}
	snprintf(key, sizeof(key), "%08" PRIx32, hash);
	p->vmms = v;
	hostcpu_groups_open(key, &p->groups);
	return p;
}

void cpu_policy_destroy(struct cpu_policy *p)
{
	if (p == NULL) {
		return;
	}
	loop_timer_set(p->vmms->loop, &p->sweep, 0);
	hostcpu_groups_close(&p->groups);
	free(p);
}

/* ---- Groups that are left ---- */

static bool is_wanted(void *ctx, const char *id)
{
	const struct vm *vm = vm_find_id(ctx, id);

	return vm != NULL && vm->cpu.claims;
}

static void on_sweep(void *ctx)
{
	cpu_policy_sweep(ctx);
}

static void sweep_later(struct vmms *v)
{
	struct cpu_policy *p = v->cpu;

	p->sweep.fn = on_sweep;
	p->sweep.ctx = v;
	loop_timer_set(v->loop, &p->sweep, host_now_ns() + SWEEP_AGAIN_NS);
}

void cpu_policy_sweep(struct vmms *v)
{
	if (v->cpu->groups.acts && hostcpu_groups_sweep(&v->cpu->groups, is_wanted, v) > 0) {
		sweep_later(v);
	}
}

/* ---- Applying ---- */

__attribute__((format(printf, 2, 3))) static void trouble(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(vm->cpu.trouble, sizeof(vm->cpu.trouble), fmt, ap);
	va_end(ap);
}

/* Weights depend on all that run. */
static void weigh(struct vmms *v)
{
	const struct cpu_policy *p = v->cpu;
	struct hostcpu_host host;
	struct hostcpu_capacity capacity;
	struct vm **vms;
	size_t count;

	if (!p->groups.acts) {
		return;
	}
	struct hostcpu_claim *claims = cpu_claims_of(v, NULL, &count, &vms);
	unsigned *weights = calloc(count + 1, sizeof(*weights));

	CHECK(weights != NULL);
	cpu_capacity_of(p, &host, &capacity);
	hostcpu_weights(claims, count, &capacity, weights);
	for (size_t i = 0; i < count; i++) {
		struct vm_cpu *cpu = &vms[i]->cpu;

		if (cpu->grouped && cpu->weight != weights[i]) {
			int r = hostcpu_group_set_weight(&p->groups, vms[i]->id, weights[i]);

			if (r < 0) {
				trouble(vms[i], "cpu.weight: %s", strerror(-r));
			}
			cpu->weight = weights[i];
		}
	}
	free(claims);
	free(vms);
	free(weights);
}

/* Of its sets what is there now; empty: all. */
static void settings_now(const struct vm *vm, struct cpu_settings *ret_settings)
{
	struct hostcpu_host host;
	struct hostcpu_capacity capacity;

	cpu_settings_of(vm->configuration, ret_settings);
	cpu_capacity_of(vm->vmms->cpu, &host, &capacity);
	hostcpu_set_intersect(&ret_settings->claim.set, &capacity.set);
	hostcpu_set_intersect(&ret_settings->nodes, &host.nodes);
}

static void set_limits(struct vm *vm, const struct cpu_settings *s)
{
	const struct cpu_policy *p = vm->vmms->cpu;
	const struct hostcpu_limits limits = {
		.weight = vm->cpu.weight != 0 ? vm->cpu.weight : HOSTCPU_WEIGHT_DEFAULT,
		.quota_us = hostcpu_quota_us(&s->claim),
		.set = s->claim.set,
		.nodes = s->nodes};
	const char *file;
	int r = hostcpu_group_set(&p->groups, vm->id, &limits, &file);

	vm->cpu.trouble[0] = '\0';
	if (r < 0) {
		trouble(vm, "%s of its group: %s", file, strerror(-r));
	}
}

/* Its group, ready for its worker. */
static void make_group(struct vm *vm, const struct cpu_settings *s)
{
	const struct cpu_policy *p = vm->vmms->cpu;

	vm->cpu = (struct vm_cpu){.claims = true};
	if (!p->groups.acts) {
		return;
	}
	int r = hostcpu_group_make(&p->groups, vm->id);

	if (r < 0) {
		trouble(vm, "its group cannot be made: %s", strerror(-r));
		return;
	}
	vm->cpu.grouped = true;
	set_limits(vm, s);
}

static void say(const struct vm *vm, const struct cpu_settings *s)
{
	const char *why = cpu_inaction(vm);

	if (why != NULL && !cpu_settings_are_usual(s)) {
		log_line("%s: weight, reserve and limit of its processors do not act: %s",
			 vm_name(vm), why);
	}
}

void cpu_policy_begin(struct vm *vm, struct machine_plan *plan)
{
	const struct cpu_policy *p = vm->vmms->cpu;
	struct cpu_settings s;

	settings_now(vm, &s);
	make_group(vm, &s);
	if (vm->cpu.grouped) {
		plan->group = hostcpu_group_open(&p->groups, vm->id);
		if (plan->group < 0) {
			trouble(vm, "its group cannot be used: %s", strerror(-plan->group));
			vm->cpu.grouped = false;
		}
	}
	/* Without cpuset the worker's threads are told one by one; the first one, before there are others. */
	if (!vm->cpu.grouped || !p->groups.cpuset) {
		plan->affinity = s.claim.set;
		plan->nodes = s.nodes;
	}
	weigh(vm->vmms);
	say(vm, &s);
}

/* Threads that are there already, where there is no cpuset. */
static void move_threads(struct vm *vm, const struct cpu_settings *s)
{
	const struct cpu_policy *p = vm->vmms->cpu;
	struct hostcpu_host host;
	struct hostcpu_capacity capacity;

	if (vm->cpu.grouped && p->groups.cpuset) {
		return;
	}
	cpu_capacity_of(p, &host, &capacity);
	int r = hostcpu_pid_affinity(vm->worker.pid, hostcpu_set_is_empty(&s->claim.set)
							     ? &capacity.set
							     : &s->claim.set);

	if (r < 0) {
		log_line("%s: the processors that it may run on: %s", vm_name(vm), strerror(-r));
	}
}

void cpu_policy_adopt(struct vm *vm)
{
	const struct cpu_policy *p = vm->vmms->cpu;
	struct cpu_settings s;

	settings_now(vm, &s);
	make_group(vm, &s);
	if (vm->cpu.grouped) {
		int r = hostcpu_group_take(&p->groups, vm->id, vm->worker.pid);

		if (r < 0) {
			vm->cpu.grouped = false;
			trouble(vm,
				"it runs in another group than this service may use: %s; it acts "
				"again when the VM has been saved or shut down, and started",
				strerror(-r));
		}
	}
	weigh(vm->vmms);
	say(vm, &s);
}

void cpu_policy_change(struct vm *vm)
{
	struct cpu_settings s;

	if (!vm->cpu.claims) {
		return;
	}
	settings_now(vm, &s);
	if (vm->cpu.grouped) {
		set_limits(vm, &s);
	}
	if (vm->worker.pid != 0) {
		move_threads(vm, &s);
	}
	weigh(vm->vmms);
	say(vm, &s);
}

void cpu_policy_end(struct vm *vm)
{
	if (!vm->cpu.claims) {
		return;
	}
	bool grouped = vm->cpu.grouped;

	vm->cpu = (struct vm_cpu){.claims = false};
	if (grouped && hostcpu_group_remove(&vm->vmms->cpu->groups, vm->id) == -EBUSY) {
		sweep_later(vm->vmms);
	}
	weigh(vm->vmms);
}
