// SPDX-License-Identifier: Apache-2.0
/* VMs: the list, one of them, its configuration. */
#include <stdio.h>
#include <string.h>

#include "api_error.h"
#include "config.h"
#include "cpu_policy.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "op.h"
#include "op_create.h"
#include "op_remove.h"
#include "path_check.h"
#include "roles.h"
#include "routes.h"
#include "store.h"
#include "vmms.h"

static void list(struct call *c)
{
	struct vmms *v = c->vmms;
	json_t *all = json_array();

	CHECK(all != NULL);
	for (size_t i = 0; i < v->vm_count; i++) {
		if (caller_may(c->caller, v->vms[i]->id, RIGHT_READ)) {
			json_array_append_new(all, vm_summary(v->vms[i]));
		}
	}
	call_ok(c, json_pack("{s:o}", "vms", all));
}

static void show(struct call *c)
{
	struct vm *vm = vm_of_call(c);

	if (vm != NULL) {
		call_ok(c, vm_details(vm));
	}
}

static void create(struct call *c)
{
	op_create(c);
}

/* ---- Changes ---- */

/* What a guest is made of changes only while it is off; everything else at any time. */
static bool check_state(struct call *c, const struct vm *vm, const json_t *config)
{
	const char *member;
	enum vm_config_when when = vm_config_when(vm->configuration, config, &member);
	bool saved_too = when == VM_CONFIG_NO_WORKER;

	if (when == VM_CONFIG_ANY_TIME) {
		return true;
	}
	if (vm->job != NULL) {
		call_refuse(c, API_BUSY, json_pack("{s:s}", "job", job_id(vm->job)),
			    "%s of %s cannot be changed while another operation goes on: %s",
			    member, vm_name(vm), job_kind(vm->job));
		return false;
	}
	if (vm->state != VM_OFF && !(saved_too && vm->state == VM_SAVED)) {
		call_refuse(c, API_WRONG_STATE,
			    json_pack("{s:s}", "state", vm_state_name(vm->state)),
			    "%s of %s cannot be changed while it is %s; expected it to be off%s",
			    member, vm_name(vm), vm_state_name(vm->state),
			    saved_too ? " or saved"
			    : strcmp(member, "disks") == 0 || strcmp(member, "dvds") == 0 ||
					    strcmp(member, "adapters") == 0
				    ? ", or one to be added, changed or removed by itself"
				    : "");
		return false;
	}
	return true;
}

/* One that runs gets what it is given now; one that does not is looked at when it starts. */
static bool check_processors(struct call *c, const struct vm *vm, const json_t *config)
{
	char why[800];

	if (!vm->cpu.claims || cpu_policy_admits(vm, config, why, sizeof(why))) {
		return true;
	}
	call_refuse(c, API_NO_PROCESSORS, NULL, "%s", why);
	return false;
}

/* @config is taken over. */
static void configure(struct call *c, struct vm *vm, json_t *config)
{
	struct json_file_error error;

	if (json_equal(config, vm->configuration)) {
		json_decref(config);
		call_ok(c, vm_details(vm));
		return;
	}
	if (!check_state(c, vm, config) || !check_processors(c, vm, config) ||
	    !path_check_all(c, vm->configuration, config)) {
		json_decref(config);
		return;
	}
	int r = store_configure(vm, config, &error);

	if (r < 0) {
		call_refuse(c, api_error_of_errno(-r), NULL, "%s is as it was: %s", vm_name(vm),
			    error.text);
		return;
	}
	cpu_policy_change(vm);
	call_ok(c, vm_details(vm));
}

static void change(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	struct schema_error error;

	if (vm == NULL || !vm_op_allowed(c, vm, VM_OP_SET)) {
		return;
	}
	if (c->body == NULL) {
		call_refuse(c, API_INVALID, NULL,
			    "a change needs a body; expected members of the configuration");
		return;
	}
	json_t *config = vm_config_patch(vm->configuration, c->body, &error);

	if (config == NULL) {
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
		return;
	}
	configure(c, vm, config);
}

static void rename_vm(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	struct schema_error error;

	if (vm == NULL || !vm_op_allowed(c, vm, VM_OP_RENAME)) {
		return;
	}
	json_t *name = json_object_get(c->body, "name");
	json_t *patch = json_pack("{s:O?}", "name", name);
	json_t *config = name == NULL ? NULL : vm_config_patch(vm->configuration, patch, &error);

	json_decref(patch);
	if (config == NULL) {
		call_refuse(c, API_INVALID, NULL, "%s",
			    name == NULL ? "name: found nothing; expected the new name"
					 : error.text);
		return;
	}
	configure(c, vm, config);
}

static void remove_vm(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	const char *disks = call_query(c, "disks");

	if (vm != NULL && vm_op_allowed(c, vm, VM_OP_REMOVE)) {
		op_remove(c, vm, disks != NULL && strcmp(disks, "0") != 0);
	}
}

static const struct route routes[] = {
	{"GET", "/vms", RIGHT_READ, false, list, "Lists the VMs", NULL, "VmList"},
	{"POST", "/vms", RIGHT_HOST, true, create, "Makes a VM, and disks for it", "NewVm", "Vm"},
	{"GET", "/vms/{vm}", RIGHT_READ, false, show, "Shows a VM with its configuration", NULL,
	 "VmDetails"},
	{"PATCH", "/vms/{vm}", RIGHT_CHANGE, true, change,
	 "Changes the configuration by a merge patch", "Configuration", "VmDetails"},
	{"DELETE", "/vms/{vm}", RIGHT_CHANGE, true, remove_vm,
	 "Removes a VM; its disks stay, unless ?disks=1", NULL, "Job"},
	{"POST", "/vms/{vm}/rename", RIGHT_CHANGE, true, rename_vm, "Gives a VM another name",
	 "Rename", "VmDetails", .beside = true},
};

const struct route_table vm_routes = {routes, ARRAY_LEN(routes)};
