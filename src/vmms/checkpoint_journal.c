// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_journal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"

int journal_write(struct vm *vm, json_t *o, struct json_file_error *error)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, "operation.json", path);
	int r = json_file_save(path, o, true, error);

	json_decref(o);
	return r;
}

void journal_end(struct vm *vm)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, "operation.json", path);
	if (unlink(path) < 0 && errno != ENOENT) {
		log_line("%s: %s", path,
			 strerror(errno)); /* what it says is done will be found done */
	}
}

bool journal_is_there(const struct vm *vm)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, "operation.json", path);
	return access(path, F_OK) == 0;
}

json_t *journal_read(const struct vm *vm)
{
	char path[VM_PATH_BYTES];
	struct json_file_error error;
	json_t *o;

	vm_path(vm, "operation.json", path);
	switch (json_file_load(path, 1, &o, &error)) {
	case JSON_FILE_OK:
		return o;
	case JSON_FILE_ABSENT:
		return NULL;
	case JSON_FILE_WRONG:
	case JSON_FILE_TOO_NEW:
	case JSON_FILE_FAILED:
		break;
	}
	log_line("%s: %s", vm_name(vm), error.text);
	return NULL;
}
