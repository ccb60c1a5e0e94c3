// SPDX-License-Identifier: Apache-2.0
/*
 * vm.json, and what a client says of a new VM or a change. What is taken must be whole: everything that starts a machine from it finds what it looks for, and a
 * change of nothing changes nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "json_file.h"
#include "plan.h"
#include "vmms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_plan(json_t *config)
{
	struct vmms v = {.state = "/s", .runtime = "/r"};
	struct vm vm = {
		.vmms = &v, .id = "BA6163D9-04A1-4D29-B605-72E2FFB1DC7F", .configuration = config};
	struct machine_plan *p = plan_vm(&vm, NULL);

	if (p->disk_count > CONFIG_DISKS_MAX + 256 || p->adapter_count > CONFIG_ADAPTERS_MAX ||
	    p->memory_bytes == 0 || p->processors == 0) {
		abort();
	}
	machine_plan_free(p);
}

static void check_patch(const json_t *config)
{
	struct schema_error error;
	json_t *nothing = json_object(), *same = vm_config_patch(config, nothing, &error);
	const char *member;

	if (same == NULL || vm_config_when(config, same, &member) != VM_CONFIG_ANY_TIME) {
		abort();
	}
	json_decref(same);
	json_decref(nothing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char id[] = "BA6163D9-04A1-4D29-B605-72E2FFB1DC7F";
	struct json_file_error file_error;
	struct schema_error error;
	json_t *o = NULL;

	if (json_file_parse("vm.json", (const char *)data, bytes, 1, &o, &file_error) !=
	    JSON_FILE_OK) {
		return 0;
	}
	if (vm_config_check(o, &error)) {
		check_plan(o);
		check_patch(o);
	}
	json_t *made = vm_config_create(o, id, &error);

	if (made != NULL) {
		json_t *changed = vm_config_patch(made, o, &error);

		check_plan(made);
		check_patch(made);
		json_decref(changed);
	}
	json_decref(made);
	json_decref(o);
	return 0;
}
