// SPDX-License-Identifier: Apache-2.0
#include "vm.h"

#include <stdio.h>
#include <string.h>

#include "events.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "vmms.h"

static const char *const state_names[VM_STATES] = {
	[VM_OFF] = "off",	    [VM_STARTING] = "starting", [VM_RUNNING] = "running",
	[VM_PAUSING] = "pausing",   [VM_PAUSED] = "paused",	[VM_RESUMING] = "resuming",
	[VM_SAVING] = "saving",	    [VM_SAVED] = "saved",	[VM_RESTORING] = "restoring",
	[VM_STOPPING] = "stopping",
};

const char *vm_name(const struct vm *vm)
{
	const char *name = json_string_value(json_object_get(vm->configuration, "name"));

	return name == NULL ? vm->id : name;
}

const char *vm_state_name(enum vm_state s)
{
	return state_names[s];
}

bool vm_state_parse(const char *name, enum vm_state *ret)
{
	for (unsigned i = 0; i < VM_STATES; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*ret = (enum vm_state)i;
			return true;
		}
	}
	return false;
}

json_int_t vm_revision(const struct vm *vm)
{
	return json_integer_value(json_object_get(vm->configuration, "revision"));
}

void vm_path(const struct vm *vm, const char *name, char ret[VM_PATH_BYTES])
{
	int n = snprintf(ret, VM_PATH_BYTES, "%s/vms/%s%s%s", vm->vmms->state, vm->id,
			 name[0] == '\0' ? "" : "/", name);

	CHECK(n > 0 && (size_t)n < VM_PATH_BYTES);
}

void vm_run_path(const struct vm *vm, const char *name, char ret[VM_PATH_BYTES])
{
	int n = snprintf(ret, VM_PATH_BYTES, "%s/run/%s%s%s", vm->vmms->runtime, vm->id,
			 name[0] == '\0' ? "" : "/", name);

	CHECK(n > 0 && (size_t)n < VM_PATH_BYTES);
}

static void tell_state(const struct vm *vm)
{
	events_publish(vm->vmms, "vm.state", vm, vm->job,
		       json_pack("{s:s, s:b, s:s?}", "state", state_names[vm->state], "critical",
				 vm->critical, "reason",
				 vm->reason[0] == '\0' ? NULL : vm->reason));
}

void vm_set_state(struct vm *vm, enum vm_state s)
{
	if (vm->state == s) {
		return;
	}
	vm->state = s;
	if (!vm_is_active(vm) && !vm->unusable) {
		vm->critical = false;
		vm->reason[0] = '\0';
	}
	vm_record_write(vm, false);
	tell_state(vm);
}

void vm_set_critical(struct vm *vm, const char *reason)
{
	const char *text = reason == NULL ? "" : reason;

	if (strcmp(vm->reason, text) == 0) {
		return;
	}
	snprintf(vm->reason, sizeof(vm->reason), "%s", text);
	vm->critical = text[0] != '\0';
	tell_state(vm);
}

bool vm_is_active(const struct vm *vm)
{
	return vm->state != VM_OFF && vm->state != VM_SAVED;
}
