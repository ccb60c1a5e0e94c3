// SPDX-License-Identifier: Apache-2.0
#include "policy.h"

#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "host/log.h"
#include "op.h"
#include "vm.h"
#include "vmms.h"

#define SECOND_NS UINT64_C(1000000000)
#define RESTART_MAX_S 300u	    /* longest wait between restarts */
#define STEADY_NS (600 * SECOND_NS) /* one that ran that long starts anew */
#define STOP_TIMEOUT_S 120u	    /* guests that are asked to shut down when the machine does */

static const json_t *start_policy(const struct vm *vm)
{
	return json_object_get(vm->configuration, "automatic_start");
}

static bool is(const json_t *value, const char *word)
{
	return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

static void on_start_ended(void *ctx, struct job *j);

static void start_now(void *ctx)
{
	struct vm *vm = ctx;
	char why[VM_REASON_BYTES + 200];

	if (vm->vmms->stopping) {
		return;
	}
	if (vm_op_refused(vm, VM_OP_START, why, sizeof(why))) {
		log_line("automatic start: %s", why);
		return;
	}
	struct job *j = job_create(vm->vmms, "start", vm, "automatic start");

	vm->start_watch = (struct job_watch){.ended = on_start_ended, .ctx = vm};
	job_watch(j, &vm->start_watch);
	op_start(vm, j);
}

static void start_after(struct vm *vm, uint64_t wait_ns)
{
	vm->restart_timer = (struct loop_timer){.fn = start_now,
						.ctx = vm,
						.next = vm->restart_timer.next,
						.deadline_ns = vm->restart_timer.deadline_ns};
	loop_timer_set(vm->vmms->loop, &vm->restart_timer, host_now_ns() + wait_ns);
}

/* ---- The machine starts ---- */

static bool starts_with_machine(const struct vm *vm)
{
	const json_t *action = json_object_get(start_policy(vm), "action");

	return !vm->unusable && !vm_is_active(vm) &&
	       (is(action, "always") || (is(action, "if-was-running") && vm->wanted));
}

static int by_order(const void *a, const void *b)
{
	const struct vm *const *va = a, *const *vb = b;
	json_int_t oa = json_integer_value(json_object_get(start_policy(*va), "order")),
		   ob = json_integer_value(json_object_get(start_policy(*vb), "order"));

	return oa != ob ? (oa < ob ? -1 : 1) : strcmp((*va)->id, (*vb)->id);
}

void policy_start_all(struct vmms *v)
{
	struct vm **sorted = malloc((v->vm_count + 1) * sizeof(struct vm *));
	size_t count = 0;

	for (size_t i = 0; sorted != NULL && i < v->vm_count; i++) {
		if (starts_with_machine(v->vms[i])) {
			sorted[count++] = v->vms[i];
		}
	}
	if (sorted != NULL) {
		qsort(sorted, count, sizeof(struct vm *), by_order);
	}
	for (size_t i = 0; i < count; i++) {
		json_int_t delay_s =
			json_integer_value(json_object_get(start_policy(sorted[i]), "delay_s"));

		/* A little apart, so that their order is one. */
		start_after(sorted[i], (uint64_t)delay_s * SECOND_NS + i * 1000);
	}
	free(sorted);
}

/* ---- The machine goes down ---- */

static void look_if_idle(struct vmms *v)
{
	for (size_t i = 0; i < v->vm_count; i++) {
		if (v->vms[i]->worker.pid != 0 || v->vms[i]->job != NULL) {
			return;
		}
	}
	if (v->idle != NULL) {
		void (*idle)(void *ctx) = v->idle;

		v->idle = NULL;
		idle(v->idle_ctx);
	}
}

/* Of the steps of a stop that did not work the next harder one is taken. */
struct stopping {
	struct vm *vm;
	struct job_watch watch;
};

static void stop_vm(struct vm *vm, const char *how);

static void on_stopped(void *ctx, struct job *j)
{
	struct stopping *s = ctx;
	struct vm *vm = s->vm;

	free(s);
	if (job_state(j) != JOB_COMPLETED && vm->worker.pid != 0) {
		log_line("automatic stop: %s; turning it off",
			 job_error_text(j) == NULL ? "cancelled" : job_error_text(j));
		stop_vm(vm, "turn-off");
		return;
	}
	look_if_idle(vm->vmms);
}

static void watch(struct vm *vm, struct job *j)
{
	struct stopping *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		*s = (struct stopping){.vm = vm, .watch = {.ended = on_stopped, .ctx = s}};
		job_watch(j, &s->watch);
	}
}

static void stop_vm(struct vm *vm, const char *how)
{
	const struct op_shutdown shutdown = {.timeout_s = STOP_TIMEOUT_S};
	bool wanted = vm->wanted;
	struct job *j = job_create(vm->vmms, "automatic-stop", vm, "automatic stop");

	watch(vm, j);
	if (strcmp(how, "save") == 0) {
		op_save(vm, j);
	} else if (strcmp(how, "shutdown") == 0 && vm->state == VM_RUNNING) {
		op_shutdown(vm, j, &shutdown);
	} else {
		op_stop(vm, j);
	}
	vm->wanted = wanted; /* it comes back with the machine */
}

/* One that is between states is stopped when it has arrived in one. */
static void stop_when_possible(struct vm *vm)
{
	const char *how = json_string_value(json_object_get(vm->configuration, "automatic_stop"));

	if (vm->worker.pid == 0) {
		return;
	}
	if (vm->job != NULL) {
		watch(vm, vm->job);
		return;
	}
	stop_vm(vm, how == NULL ? "turn-off" : how);
}

void policy_stop_all(struct vmms *v, void (*idle)(void *ctx), void *ctx)
{
	v->stopping = true;
	v->idle = idle;
	v->idle_ctx = ctx;
	events_publish(v, "host.stopping", NULL, NULL, NULL);
	for (size_t i = 0; i < v->vm_count; i++) {
		loop_timer_set(v->loop, &v->vms[i]->restart_timer, 0);
		stop_when_possible(v->vms[i]);
	}
	look_if_idle(v);
}

/* ---- A VM ends ---- */

static uint64_t wait_before_restart_ns(unsigned restarts)
{
	unsigned seconds = restarts < 9 ? 1u << restarts : RESTART_MAX_S;

	return (seconds < RESTART_MAX_S ? seconds : RESTART_MAX_S) * SECOND_NS;
}

static void recover(struct vm *vm)
{
	uint64_t wait_ns = wait_before_restart_ns(vm->restarts++);

	vm->recovering = true;
	vm->wanted = true;
	log_line("%s is started again in %llu s", vm_name(vm),
		 (unsigned long long)(wait_ns / SECOND_NS));
	start_after(vm, wait_ns);
}

/* What could not be started may be startable later: memory is there again, a disk is mounted. */
static void on_start_ended(void *ctx, struct job *j)
{
	struct vm *vm = ctx;

	if (job_state(j) == JOB_FAILED) {
		log_line("automatic start: %s", job_error_text(j));
	}
	if (job_state(j) == JOB_FAILED && vm->recovering) {
		recover(vm);
	} else {
		vm->recovering = false;
	}
}

void policy_forget_recovery(struct vm *vm)
{
	loop_timer_set(vm->vmms->loop, &vm->restart_timer, 0);
	vm->recovering = false;
	vm->restarts = 0;
}

void policy_after_end(struct vm *vm, bool failed)
{
	if (vm->vmms->stopping) {
		look_if_idle(vm->vmms);
		return;
	}
	if (!failed || !vm->wanted || vm_is_active(vm)) {
		return;
	}
	if (!is(json_object_get(vm->configuration, "automatic_recovery"), "restart")) {
		vm->wanted = false;
		return;
	}
	if (vm->ran_ns >= STEADY_NS) {
		vm->restarts = 0;
	}
	recover(vm);
}
