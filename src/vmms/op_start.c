// SPDX-License-Identifier: Apache-2.0
/* Starting and restoring: files and process on a thread, then waiting for the worker to say that it runs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_error.h"
#include "cpu_policy.h"
#include "host/log.h"
#include "link.h"
#include "op.h"
#include "op_checkpoint.h"
#include "plan.h"
#include "resources.h"
#include "saved_state.h"
#include "task.h"
#include "vm_worker.h"
#include "vmms.h"

struct start {
	struct vm *vm;
	struct job *job;
	bool stop; /* somebody wants it off before it runs */
	/* For the thread. */
	struct machine_plan *plan;
	struct machine_process process;
	struct launch_error error;
	bool started;
};

static void forget(struct start *s)
{
	machine_plan_free(s->plan);
	free(s);
}

/* Nothing came of it: as it was before. */
static void give_up(struct vm *vm)
{
	vm->op = NULL;
	vm->on_end = NULL;
	vm->wanted = false;
	cpu_policy_end(vm);
	saved_state_settle(vm, false);
	vm_set_state(vm, vm->has_saved ? VM_SAVED : VM_OFF);
}

/* ---- The worker is there ---- */

static void on_end(struct vm *vm, const struct vm_end *end)
{
	struct job *j = vm->job;

	vm->op = NULL;
	vm->wanted = false; /* whoever wants to try again says so */
	if (job_is_cancelling(j)) {
		job_cancelled(j);
	} else if (end->ran && strcmp(end->how, "power-off") == 0) {
		job_complete(j, NULL); /* a guest that was quicker than its worker's first answer */
	} else {
		op_fail_ended(j, vm, "start", end);
	}
}

/* @state: one that stood still when it was saved does so again. */
static void runs(struct vm *vm, enum vm_state state)
{
	struct job *j = vm->job;

	vm->op = NULL;
	vm->on_end = NULL;
	/* The guest changes its disks from now on. */
	if (vm->has_saved) {
		saved_state_used(vm);
	}
	vm->worker.since_ns = host_now_ns();
	vm_set_state(vm, state);
	job_complete(j, NULL);
	op_tidy_later(vm); /* of a checkpoint that was applied */
}

static void on_info(void *ctx, const char *answer)
{
	struct vm *vm = ctx;

	char state[24] = "";

	/* A worker that is gone is heard of by its end. */
	if (answer != NULL && (vm->state == VM_STARTING || vm->state == VM_RESTORING)) {
		(void)link_value(answer, "state", state, sizeof(state));
		runs(vm, strcmp(state, "paused") == 0 && link_number(answer, "critical") == 0
				 ? VM_PAUSED
				 : VM_RUNNING);
	}
}

static void attach(struct start *s)
{
	struct vm *vm = s->vm;

	vm_worker_attach(vm, &s->process);
	vm_record_write(vm, true);
	vm->on_end = on_end;
	job_progress(s->job, 50, "starting the guest");
	if (s->stop) {
		vm_worker_kill(vm);
	} else {
		link_ask_words(vm->worker.link, on_info, vm, -1, "info", NULL);
	}
	vm->op = NULL;
}

/* ---- On the thread ---- */

static void work(void *ctx)
{
	struct start *s = ctx;

	s->started = machine_start(s->plan, &s->process, &s->error);
}

static void done(void *ctx)
{
	struct start *s = ctx;

	if (s->started) {
		attach(s);
	} else {
		give_up(s->vm);
		job_fail(s->job, API_FAILED, NULL, "%s cannot be started: %s", vm_name(s->vm),
			 s->error.text);
	}
	forget(s);
}

/* Turned off before there is a process: it is killed as soon as there is one. */
static void cancel(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->op != NULL) {
		((struct start *)vm->op)->stop = true;
	} else if (vm->worker.pid != 0) {
		vm_worker_kill(vm);
	}
}

static bool has_kernel(struct vm *vm, struct job *j)
{
	const json_t *boot = json_object_get(vm->configuration, "boot");

	if (json_string_length(json_object_get(boot, "kernel")) > 0) {
		return true;
	}
	job_fail(j, API_INVALID, NULL,
		 "%s has nothing to boot: boot.kernel is empty; expected a kernel's path (virid vm "
		 "set --kernel)",
		 vm_name(vm));
	return false;
}

static bool has_resources(struct vm *vm, struct job *j)
{
	char why[800];

	if (!resources_suffice(vm, why, sizeof(why))) {
		job_fail(j, API_NO_MEMORY, NULL, "%s", why);
		return false;
	}
	if (!cpu_policy_admits(vm, vm->configuration, why, sizeof(why))) {
		job_fail(j, API_NO_PROCESSORS, NULL, "%s", why);
		return false;
	}
	return true;
}

void op_start(struct vm *vm, struct job *j)
{
	char state_file[VM_PATH_BYTES];
	struct start *s;

	if (!has_kernel(vm, j) || !has_resources(vm, j)) {
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		job_fail(j, API_NO_MEMORY, NULL, "the service is out of memory");
		return;
	}
	vm_worker_clear_end(vm);
	bool restore = vm->has_saved;
	int r = restore ? saved_state_begin(vm, state_file) : 0;

	if (r < 0) {
		free(s);
		job_fail(j, api_error_of_errno(-r), NULL,
			 "the saved state of %s cannot be used: %s", vm_name(vm), strerror(-r));
		return;
	}
	*s = (struct start){.vm = vm, .job = j, .plan = plan_vm(vm, restore ? state_file : NULL)};
	cpu_policy_begin(vm, s->plan);
	vm->op = s;
	vm->wanted = true;
	vm_set_state(vm, restore ? VM_RESTORING : VM_STARTING);
	/* Before there is a process: whatever dies from now on, that it was begun is known. */
	vm_record_write(vm, true);
	job_allow_cancel(j, cancel, vm);
	job_progress(j, 10, "opening disks");
	task_run(vm->vmms->tasks, work, done, s);
}

void op_fail_ended(struct job *j, const struct vm *vm, const char *what, const struct vm_end *end)
{
	job_fail(j, API_FAILED, json_pack("{s:s}", "how", end->how), "%s: %s ended: %s%s%s", what,
		 vm_name(vm), end->how, end->message[0] == '\0' ? "" : ": ", end->message);
}
