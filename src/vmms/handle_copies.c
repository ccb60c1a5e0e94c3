// SPDX-License-Identifier: Apache-2.0
#include "lib/bits.h"
#include "op_copy.h"
#include "routes.h"
#include "vm.h"

static void export_vm(struct call *c)
{
	struct vm *vm = vm_of_call(c);

	if (vm != NULL) {
		op_export(c, vm);
	}
}

static void clone_vm(struct call *c)
{
	struct vm *vm = vm_of_call(c);

	if (vm != NULL) {
		op_clone(c, vm);
	}
}

static const struct route routes[] = {
	{"POST", "/vms/import", RIGHT_HOST, true, op_import,
	 "Takes a VM's folder in: a copy of it, or where it is", "Import", "Job"},
	{"POST", "/vms/{vm}/export", RIGHT_CHANGE, true, export_vm,
	 "Copies a VM, with all that it needs, to a folder", "Export", "Job"},
	{"POST", "/vms/{vm}/clone", RIGHT_HOST, true, clone_vm,
	 "Makes a VM on differencing disks over this one's", "Clone", "Job"},
};

const struct route_table copy_routes = {routes, ARRAY_LEN(routes)};
