// SPDX-License-Identifier: Apache-2.0
/* Turning off, and asking the guest to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "link.h"
#include "op.h"
#include "vm_worker.h"
#include "vmms.h"

#define TURN_OFF_NS (UINT64_C(10) * 1000000000) /* then it is killed */

/* ---- Turning off ---- */

static void on_off(struct vm *vm, const struct vm_end *end)
{
	(void)end; /* off is off, whatever came first */
	job_complete(vm->job, NULL);
}

static void on_too_slow(void *ctx)
{
	vm_worker_kill(ctx);
}

static void on_turned_off(void *ctx, const char *answer)
{
	struct vm *vm = ctx;

	/* One that is gone is heard of by its end; one that does not know the word goes the hard way. */
	if (answer != NULL && !link_is_ok(answer) && vm->worker.pid != 0) {
		vm_worker_kill(vm);
	}
}

void op_turn_off(struct vm *vm, struct job *j,
		 void (*on_end)(struct vm *vm, const struct vm_end *end))
{
	vm->wanted = false;
	vm->on_end = on_end;
	job_progress(j, 0, "turning off");
	vm_set_state(vm, VM_STOPPING);
	vm->timer = (struct loop_timer){.fn = on_too_slow, .ctx = vm};
	loop_timer_set(vm->vmms->loop, &vm->timer, host_now_ns() + TURN_OFF_NS);
	link_ask_words(vm->worker.link, on_turned_off, vm, -1, "turn-off", NULL);
}

void op_stop(struct vm *vm, struct job *j)
{
	op_turn_off(vm, j, on_off);
}

/* ---- Turning off in the middle of something else ---- */

struct beside {
	struct vm *vm;
	struct job *job;
	struct job_watch watch; /* of the other operation */
	struct loop_timer timer;
	char who[64];
};

static void on_other_ended(void *ctx, struct job *other)
{
	struct beside *b = ctx;
	struct vm *vm = b->vm;
	struct job *j = b->job;

	(void)other;
	/* It came to an end with the VM running after all, or the next one has begun already. */
	if (vm->worker.pid != 0 && vm->job != NULL) {
		job_watch(vm->job, &b->watch);
		return;
	}
	if (vm->worker.pid != 0) {
		struct job *own = job_create(vm->vmms, "stop", vm, b->who);

		job_watch(own, &b->watch);
		op_stop(vm, own);
		return;
	}
	loop_timer_set(vm->vmms->loop, &b->timer, 0);
	free(b);
	vm->wanted = false;
	vm_record_write(vm, false);
	job_complete(j, NULL);
}

static void kill_beside(void *ctx)
{
	struct beside *b = ctx;

	if (b->vm->worker.pid != 0) {
		vm_worker_kill(b->vm);
	}
}

struct job *op_stop_beside(struct vm *vm, const char *who)
{
	struct beside *b = calloc(1, sizeof(*b));

	CHECK(b != NULL && vm->job != NULL);
	*b = (struct beside){.vm = vm, .job = job_create_beside("stop", vm, who)};
	b->watch = (struct job_watch){.ended = on_other_ended, .ctx = b};
	b->timer = (struct loop_timer){.fn = kill_beside, .ctx = b};
	struct job *j = b->job;

	snprintf(b->who, sizeof(b->who), "%s", who);
	vm->wanted = false;
	job_watch(vm->job, &b->watch);
	if (vm->state == VM_STARTING || vm->state == VM_RESTORING) {
		job_cancel(vm->job); /* which ends the worker, if there is one yet */
	} else if (vm->worker.pid != 0) {
		loop_timer_set(vm->vmms->loop, &b->timer, host_now_ns() + TURN_OFF_NS);
		link_ask_words(vm->worker.link, on_turned_off, vm, -1, "turn-off", NULL);
	}
	return j;
}

/* ---- Shutting down ---- */

static void on_shut_down(struct vm *vm, const struct vm_end *end)
{
	struct job *j = vm->job;

	if (strcmp(end->how, "power-off") == 0 || strcmp(end->how, "turned-off") == 0) {
		job_complete(j, NULL);
	} else {
		op_fail_ended(j, vm, "shutdown", end);
	}
}

/* The VM runs on, as far as we know; when the guest goes down later, that is its own doing. */
static void abandon(struct vm *vm)
{
	vm->on_end = NULL;
	loop_timer_set(vm->vmms->loop, &vm->timer, 0);
	vm_set_state(vm, VM_RUNNING);
}

static void on_no_shutdown(void *ctx)
{
	struct vm *vm = ctx;
	struct job *j = vm->job;

	abandon(vm);
	job_fail(j, API_FAILED, NULL,
		 "%s did not shut down in time; it may still do so: wait, look at its console "
		 "(virid vm console), or turn "
		 "it off (virid vm stop), as pulling the plug does",
		 vm_name(vm));
}

static void on_asked(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct job *j = vm->job;

	if (answer == NULL || vm->on_end != on_shut_down) {
		return;
	}
	if (!link_is_ok(answer)) {
		abandon(vm);
		job_fail(
			j, API_NOT_SUPPORTED, NULL,
			"%s cannot be asked to shut down: %s; it can be turned off (virid vm stop)",
			vm_name(vm), answer);
	}
}

static void cancel(void *ctx)
{
	struct vm *vm = ctx;
	struct job *j = vm->job;

	abandon(vm);
	job_cancelled(j);
}

static void on_reboot_asked(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct job *j = vm->job;

	if (j == NULL || vm->on_end != NULL) {
		return;
	}
	if (link_is_ok(answer)) {
		job_complete(j, NULL);
	} else {
		job_fail(j, API_NOT_SUPPORTED, NULL, "%s cannot be asked to reboot: %s",
			 vm_name(vm), answer == NULL ? "its worker is gone" : answer);
	}
}

static void reboot(struct vm *vm, bool force)
{
	if (force) {
		link_ask_words(vm->worker.link, on_reboot_asked, vm, -1, "shutdown", "--reboot",
			       "--force", NULL);
	} else {
		link_ask_words(vm->worker.link, on_reboot_asked, vm, -1, "shutdown", "--reboot",
			       NULL);
	}
}

void op_shutdown(struct vm *vm, struct job *j, const struct op_shutdown *how)
{
	job_progress(j, 0, "waiting for the guest");
	if (how->reboot) {
		reboot(vm, how->force);
		return;
	}
	vm->on_end = on_shut_down;
	vm_set_state(vm, VM_STOPPING);
	vm->timer = (struct loop_timer){.fn = on_no_shutdown, .ctx = vm};
	loop_timer_set(vm->vmms->loop, &vm->timer,
		       host_now_ns() + how->timeout_s * UINT64_C(1000000000));
	job_allow_cancel(j, cancel, vm);
	if (how->force) {
		link_ask_words(vm->worker.link, on_asked, vm, -1, "shutdown", "--force", NULL);
	} else {
		link_ask_words(vm->worker.link, on_asked, vm, -1, "shutdown", NULL);
	}
}
