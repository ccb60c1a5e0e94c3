// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "host/log.h"
#include "json_file.h"
#include "lib/check.h"
#include "vm.h"
#include "vmms.h"

/* When the runtime folder is from another boot, so are workers (Decision: docs/design/0007-management-service.md). */
void vm_record_write(struct vm *vm, bool durable)
{
	struct json_file_error error;
	char path[VM_PATH_BYTES];

	if (vm->unusable) {
		return; /* whatever wrote its files knows more than we */
	}
	json_t *worker = vm->worker.pid == 0
				 ? json_null()
				 : json_pack("{s:I, s:I}", "pid", (json_int_t)vm->worker.pid,
					     "start_time", (json_int_t)vm->worker.start_time);
	json_t *o = json_pack("{s:i, s:s, s:b, s:o, s:s, s:O?}", "format", 1, "state",
			      vm_state_name(vm->state), "wanted", vm->wanted, "worker", worker,
			      "boot_id", vm->vmms->boot_id, "ended", vm->ended);

	CHECK(o != NULL);
	vm_path(vm, "state.json", path);
	if (json_file_save(path, o, durable, &error) < 0) {
		log_line("%s: %s", vm_name(vm), error.text);
		vm_set_critical(vm, error.text);
	}
	json_decref(o);
}

void vm_record_take(struct vm *vm, const json_t *record)
{
	const json_t *worker = json_object_get(record, "worker"),
		     *ended = json_object_get(record, "ended");
	const char *state = json_string_value(json_object_get(record, "state"));
	json_int_t pid = json_integer_value(json_object_get(worker, "pid"));

	if (state != NULL) {
		(void)vm_state_parse(state, &vm->state); /* else as it is: off */
	}
	vm->wanted = json_is_true(json_object_get(record, "wanted"));
	if (json_is_object(ended)) {
		vm->ended = json_deep_copy(ended);
	}
	if (pid > 0 && pid <= INT32_MAX) {
		vm->worker.pid = (pid_t)pid;
		vm->worker.start_time =
			(uint64_t)json_integer_value(json_object_get(worker, "start_time"));
	}
}
