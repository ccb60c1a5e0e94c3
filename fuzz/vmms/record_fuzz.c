// SPDX-License-Identifier: Apache-2.0
/* state.json, which a copied folder may bring along. */
#include <stdint.h>
#include <stdlib.h>

#include "json_file.h"
#include "vm.h"
#include "vmms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct vmms v = {.state = "/s", .runtime = "/r"};
	struct vm vm = {.vmms = &v, .id = "BA6163D9-04A1-4D29-B605-72E2FFB1DC7F"};
	struct json_file_error error;
	json_t *o = NULL;

	if (json_file_parse("state.json", (const char *)data, bytes, 1, &o, &error) !=
	    JSON_FILE_OK) {
		return 0;
	}
	vm_record_take(&vm, o);
	if (vm.state >= VM_STATES || vm.worker.pid < 0) {
		abort();
	}
	json_decref(vm.ended);
	json_decref(o);
	return 0;
}
