// SPDX-License-Identifier: Apache-2.0
/* Requests that change a VM's state; each is answered with its job. */
#include <string.h>

#include "lib/bits.h"
#include "op.h"
#include "policy.h"
#include "routes.h"
#include "vmms.h"

#define SHUTDOWN_DEFAULT_S 120

/* The request's VM and the job for it; NULL after the call was refused. */
static struct job *begin(struct call *c, enum vm_op op, struct vm **ret)
{
	struct vm *vm = vm_of_call(c);
	struct job *j = vm == NULL ? NULL : vm_op_begin(c, vm, op);

	if (j != NULL) {
		policy_forget_recovery(vm);
	}
	*ret = vm;
	return j;
}

/* The job is described as it is now: it may have failed already. */
static void simple(struct call *c, enum vm_op op, void (*carry_out)(struct vm *vm, struct job *j))
{
	struct vm *vm;
	struct job *j = begin(c, op, &vm);

	if (j != NULL) {
		carry_out(vm, j);
		call_job(c, j);
	}
}

static void start(struct call *c)
{
	if (c->vmms->stopping) {
		call_refuse(c, API_WRONG_STATE, NULL,
			    "the host goes down: no VM is started any more until it is back");
		return;
	}
	simple(c, VM_OP_START, op_start);
}

static void save(struct call *c)
{
	simple(c, VM_OP_SAVE, op_save);
}

static void pause_vm(struct call *c)
{
	simple(c, VM_OP_PAUSE, op_pause);
}

static void resume(struct call *c)
{
	simple(c, VM_OP_RESUME, op_resume);
}

static void reset(struct call *c)
{
	simple(c, VM_OP_RESET, op_reset);
}

static void remove_saved_state(struct call *c)
{
	simple(c, VM_OP_REMOVE_SAVED_STATE, op_remove_saved_state);
}

static void stop(struct call *c)
{
	struct vm *vm = vm_of_call(c);

	if (vm == NULL || !vm_op_allowed(c, vm, VM_OP_STOP)) {
		return;
	}
	policy_forget_recovery(vm);
	if (vm->job != NULL) {
		call_job(c, op_stop_beside(vm, c->caller->name));
		return;
	}
	struct job *j = job_create(c->vmms, vm_op_name(VM_OP_STOP), vm, c->caller->name);

	op_stop(vm, j);
	call_job(c, j);
}

static bool take_flag(struct call *c, const char *name, bool *ret)
{
	const json_t *value = json_object_get(c->body, name);

	if (value != NULL && !json_is_boolean(value)) {
		call_refuse(c, API_INVALID, NULL, "%s: expected true or false", name);
		return false;
	}
	*ret = json_is_true(value);
	return true;
}

static bool take_shutdown(struct call *c, struct op_shutdown *ret)
{
	const json_t *timeout = json_object_get(c->body, "timeout_s");
	json_int_t seconds = timeout == NULL ? SHUTDOWN_DEFAULT_S : json_integer_value(timeout);

	if (seconds < 1 || seconds > 86400) {
		call_refuse(c, API_INVALID, NULL, "timeout_s: expected seconds from 1 to 86400");
		return false;
	}
	ret->timeout_s = (unsigned)seconds;
	return take_flag(c, "reboot", &ret->reboot) && take_flag(c, "force", &ret->force);
}

static void shut_down(struct call *c)
{
	struct op_shutdown how;
	struct vm *vm;

	if (!take_shutdown(c, &how)) {
		return;
	}
	struct job *j = begin(c, VM_OP_SHUTDOWN, &vm);

	if (j != NULL) {
		op_shutdown(vm, j, &how);
		call_job(c, j);
	}
}

static const struct route routes[] = {
	{"POST", "/vms/{vm}/start", RIGHT_OPERATE, true, start,
	 "Starts a VM, or goes on from its saved state", NULL, "Job"},
	{"POST", "/vms/{vm}/stop", RIGHT_OPERATE, true, stop,
	 "Turns a VM off without asking its guest", NULL, "Job", .beside = true},
	{"POST", "/vms/{vm}/shutdown", RIGHT_OPERATE, true, shut_down,
	 "Asks the guest to shut down or reboot", "Shutdown", "Job"},
	{"POST", "/vms/{vm}/save", RIGHT_OPERATE, true, save,
	 "Writes a VM's state to disk and ends it", NULL, "Job"},
	{"POST", "/vms/{vm}/pause", RIGHT_OPERATE, true, pause_vm, "Lets a VM stand still", NULL,
	 "Job"},
	{"POST", "/vms/{vm}/resume", RIGHT_OPERATE, true, resume, "Lets a paused VM go on", NULL,
	 "Job"},
	{"POST", "/vms/{vm}/reset", RIGHT_OPERATE, true, reset, "Resets a VM as its button would",
	 NULL, "Job"},
	{"POST", "/vms/{vm}/remove-saved-state", RIGHT_OPERATE, true, remove_saved_state,
	 "Forgets the saved state: the VM is off then", NULL, "Job"},
};

const struct route_table state_routes = {routes, ARRAY_LEN(routes)};
