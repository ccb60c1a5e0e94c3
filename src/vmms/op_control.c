// SPDX-License-Identifier: Apache-2.0
/* What the worker does on one word: pause, resume, reset. */
#include "link.h"
#include "op.h"
#include "saved_state.h"
#include "vmms.h"

/* An answer belongs to the operation that asked only while its job is still the VM's: turning off may have ended it. */
struct control {
	const char *word;
	enum vm_state during, after;
};

static const struct control pausing = {"pause", VM_PAUSING, VM_PAUSED};
static const struct control resuming = {"resume", VM_RESUMING, VM_RUNNING};

static void finish(struct vm *vm, const struct control *c, enum vm_state before, const char *answer)
{
	struct job *j = vm->job;

	/* Without an answer the worker is gone: its end fails the job. */
	if (answer == NULL || j == NULL || vm->state != c->during) {
		return;
	}
	if (link_is_ok(answer)) {
		vm_set_state(vm, c->after);
		job_complete(j, NULL);
		return;
	}
	vm_set_state(vm, before);
	job_fail(j, API_FAILED, NULL, "%s: %s: %s", c->word, vm_name(vm), answer);
}

static void on_paused(void *ctx, const char *answer)
{
	finish(ctx, &pausing, VM_RUNNING, answer);
}

static void on_resumed(void *ctx, const char *answer)
{
	finish(ctx, &resuming, VM_PAUSED, answer);
}

void op_pause(struct vm *vm, struct job *j)
{
	job_progress(j, 0, "pausing");
	vm_set_state(vm, VM_PAUSING);
	link_ask_words(vm->worker.link, on_paused, vm, -1, pausing.word, NULL);
}

void op_resume(struct vm *vm, struct job *j)
{
	job_progress(j, 0, "resuming");
	vm_set_state(vm, VM_RESUMING);
	link_ask_words(vm->worker.link, on_resumed, vm, -1, resuming.word, NULL);
}

static void on_reset(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct job *j = vm->job;

	if (answer == NULL || j == NULL || vm->state == VM_STOPPING) {
		return;
	}
	if (link_is_ok(answer)) {
		vm->worker.since_ns = host_now_ns();
		vm_set_state(vm, VM_RUNNING);
		job_complete(j, NULL);
	} else {
		job_fail(j, API_FAILED, NULL, "reset: %s: %s", vm_name(vm), answer);
	}
}

void op_reset(struct vm *vm, struct job *j)
{
	job_progress(j, 0, "resetting");
	link_ask_words(vm->worker.link, on_reset, vm, -1, "reset", NULL);
}

void op_remove_saved_state(struct vm *vm, struct job *j)
{
	int r = saved_state_used(vm);

	if (r < 0) {
		job_fail(j, API_FAILED, NULL, "the saved state of %s cannot be removed (error %d)",
			 vm_name(vm), -r);
		return;
	}
	vm->wanted = false;
	vm_set_state(vm, VM_OFF);
	job_complete(j, NULL);
}
