// SPDX-License-Identifier: Apache-2.0
/* Which operation can be in which state: one table; and one operation at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "job.h"
#include "store.h"
#include "vm.h"

#define IN(state) (1u << VM_##state)
#define ANY ((1u << VM_STATES) - 1)
#define HAS_WORKER                                                                                 \
	(IN(STARTING) | IN(RUNNING) | IN(PAUSING) | IN(PAUSED) | IN(RESUMING) | IN(SAVING) |       \
	 IN(RESTORING) | IN(STOPPING))

struct rule {
	const char *name;
	unsigned states;
	const char *expected; /* for people: what to do first */
	bool beside;	      /* another operation may go on */
	bool of_unusable;     /* also for a VM whose configuration cannot be read */
};

static const struct rule rules[VM_OPS] = {
	[VM_OP_START] = {"start", IN(OFF) | IN(SAVED), "off or saved"},
	/* The last resort: whatever else goes on ends with it. */
	[VM_OP_STOP] = {"stop", HAS_WORKER, "running or paused", .beside = true},
	[VM_OP_SHUTDOWN] = {"shutdown", IN(RUNNING), "running"},
	[VM_OP_SAVE] = {"save", IN(RUNNING) | IN(PAUSED), "running or paused"},
	[VM_OP_PAUSE] = {"pause", IN(RUNNING), "running"},
	[VM_OP_RESUME] = {"resume", IN(PAUSED), "paused"},
	[VM_OP_RESET] = {"reset", IN(RUNNING) | IN(PAUSED), "running or paused"},
	[VM_OP_REMOVE_SAVED_STATE] = {"remove-saved-state", IN(SAVED), "saved"},
	[VM_OP_RENAME] = {"rename", ANY, "", .beside = true},
	[VM_OP_SET] = {"set", ANY, "", .beside = true},
	[VM_OP_HARDWARE] = {"hardware", IN(OFF) | IN(RUNNING) | IN(PAUSED),
			    "off, running or paused"},
	[VM_OP_REMOVE] = {"remove", IN(OFF) | IN(SAVED), "off or saved", .of_unusable = true},
	[VM_OP_COPY] = {"copy", IN(OFF) | IN(SAVED), "off or saved"},
	[VM_OP_CONSOLE] = {"console", HAS_WORKER, "running or paused", .beside = true},
	[VM_OP_CHECKPOINT] = {"checkpoint", IN(OFF) | IN(SAVED) | IN(RUNNING) | IN(PAUSED),
			      "off, saved, running or paused"},
	[VM_OP_EXPORT_CHECKPOINT] = {"export-checkpoint",
				     IN(OFF) | IN(SAVED) | IN(RUNNING) | IN(PAUSED),
				     "off, saved, running or paused"},
	[VM_OP_APPLY] = {"apply", IN(OFF) | IN(SAVED) | IN(RUNNING) | IN(PAUSED),
			 "off, saved, running or paused"},
};

const char *vm_op_name(enum vm_op op)
{
	return rules[op].name;
}

bool vm_op_refused(const struct vm *vm, enum vm_op op, char *why, size_t size)
{
	const struct rule *r = &rules[op];

	if (vm->unusable && !r->of_unusable) {
		snprintf(why, size, "%s cannot be used: %s", vm_name(vm), vm->reason);
		return true;
	}
	if ((r->states & 1u << vm->state) == 0) {
		snprintf(why, size, "%s: %s is %s; expected it to be %s", r->name, vm_name(vm),
			 vm_state_name(vm->state), r->expected);
		return true;
	}
	if (vm->job != NULL && !r->beside) {
		snprintf(why, size,
			 "%s: of %s another operation goes on: %s; wait for it, or cancel job %s",
			 r->name, vm_name(vm), job_kind(vm->job), job_id(vm->job));
		return true;
	}
	return false;
}

static bool check_revision(struct call *c, const struct vm *vm)
{
	char *end;

	if (c->if_match == NULL || strcmp(c->if_match, "*") == 0) {
		return true;
	}
	long long known = strtoll(c->if_match, &end, 10);

	if (end == c->if_match || *end != '\0') {
		call_refuse(c, API_INVALID, NULL,
			    "If-Match: \"%.40s\"; expected a revision, such as \"%" PRId64 "\"",
			    c->if_match, (int64_t)vm_revision(vm));
		return false;
	}
	if (known != vm_revision(vm)) {
		call_refuse(c, API_CONFLICT, json_pack("{s:I}", "revision", vm_revision(vm)),
			    "%s was changed meanwhile: its revision is %" PRId64
			    ", not %lld; look at it again",
			    vm_name(vm), (int64_t)vm_revision(vm), known);
		return false;
	}
	return true;
}

bool vm_op_allowed(struct call *c, struct vm *vm, enum vm_op op)
{
	char why[VM_REASON_BYTES + 200];

	/* The kernel may not tell, or not yet. */
	(void)store_look_at_edit(vm);
	if (!vm_op_refused(vm, op, why, sizeof(why))) {
		return check_revision(c, vm);
	}
	if (vm->unusable && vm->too_new) {
		call_refuse(c, API_TOO_NEW, NULL, "%s", why);
	} else if (vm->unusable) {
		call_refuse(c, API_FAILED, NULL, "%s", why);
	} else if ((rules[op].states & 1u << vm->state) == 0) {
		call_refuse(c, API_WRONG_STATE,
			    json_pack("{s:s}", "state", vm_state_name(vm->state)), "%s", why);
	} else {
		call_refuse(c, API_BUSY, json_pack("{s:s}", "job", job_id(vm->job)), "%s", why);
	}
	return false;
}

struct job *vm_op_begin(struct call *c, struct vm *vm, enum vm_op op)
{
	return vm_op_allowed(c, vm, op) ? job_create(vm->vmms, rules[op].name, vm,
						     c->caller == NULL ? "" : c->caller->name)
					: NULL;
}
