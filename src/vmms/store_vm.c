// SPDX-License-Identifier: Apache-2.0
/* What a VM's folder says of it, when it is read first and when somebody else changed it. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "events.h"
#include "host/log.h"
#include "lib/check.h"
#include "new_id.h"
#include "saved_state.h"
#include "store.h"
#include "vmms.h"

#define RECORD_FORMAT 1u

static void refuse(struct vm *vm, bool too_new, const char *reason)
{
	vm->unusable = vm->critical = true;
	vm->too_new = too_new;
	snprintf(vm->reason, sizeof(vm->reason), "%s", reason);
	log_line("%s: cannot be used: %s", vm_name(vm), reason);
}

/* Of a configuration that is wrong at least the name is good for showing. */
static json_t *name_of(json_t *c, const char *id)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	json_t *o = json_pack("{s:s, s:i}", "name", name == NULL ? id : name, "revision", 0);

	CHECK(o != NULL);
	json_decref(c);
	return o;
}

static bool check_identity(const struct vm *vm, const json_t *c, struct schema_error *error)
{
	char id[GUID_TEXT_BYTES];
	const json_t *value = json_object_get(c, "id");

	if (normal_id(json_string_value(value), id) && strcmp(id, vm->id) == 0) {
		return true;
	}
	return schema_refuse(error, "id", value, "the id that its folder is called by");
}

static void load_configuration(struct vm *vm)
{
	struct json_file_error error;
	struct schema_error wrong;
	char path[VM_PATH_BYTES], text[VM_REASON_BYTES];
	json_t *c = NULL;

	vm_path(vm, "vm.json", path);
	enum json_file_result r = json_file_load(path, VM_FORMAT, &c, &error);

	store_stamp(vm);
	vm->configuration = c;
	if (r != JSON_FILE_OK) {
		struct json_file_error ignored;

		/* People know it by its name, whoever wrote the rest. */
		if (r == JSON_FILE_TOO_NEW) {
			json_file_load(path, UINT_MAX, &c, &ignored);
		}
		vm->configuration = name_of(c, vm->id);
		refuse(vm, r == JSON_FILE_TOO_NEW, error.text);
	} else if (!vm_config_check(c, &wrong) || !check_identity(vm, c, &wrong)) {
		snprintf(text, sizeof(text), "%.200s: %.590s", path, wrong.text);
		vm->configuration = name_of(c, vm->id);
		refuse(vm, false, text);
	}
}

static void load_record(struct vm *vm)
{
	struct json_file_error error;
	char path[VM_PATH_BYTES];
	json_t *record = NULL;

	vm_path(vm, "state.json", path);
	switch (json_file_load(path, RECORD_FORMAT, &record, &error)) {
	case JSON_FILE_OK:
		vm_record_take(vm, record);
		json_decref(record);
		break;
	case JSON_FILE_ABSENT: /* a folder that was copied in without it */
		break;
	case JSON_FILE_TOO_NEW:
		refuse(vm, true, error.text);
		break;
	case JSON_FILE_WRONG:
	case JSON_FILE_FAILED:
		/* It only says what went on: without it the VM is off, or saved. */
		log_line("%s: %s", vm_name(vm), error.text);
		break;
	}
}

struct vm *store_load(struct vmms *v, const char *id)
{
	struct vm *vm = vm_add(v, id);

	CHECK(vm != NULL);
	store_sweep(vm);
	load_configuration(vm);
	load_record(vm);
	saved_state_look(vm);
	return vm;
}

/* ---- Edited under us ---- */

/* Clients that know the old one are told that it is another. */
static void raise_revision(struct vm *vm, json_int_t before)
{
	if (!vm->unusable && vm_revision(vm) <= before) {
		json_object_set_new(vm->configuration, "revision", json_integer(before + 1));
	}
}

static void take_edit(struct vm *vm)
{
	json_int_t before = vm_revision(vm);
	json_t *old = vm->configuration;

	log_line("%s: vm.json was changed by somebody else: it is read again", vm_name(vm));
	load_configuration(vm);
	raise_revision(vm, before);
	json_decref(old);
	vm_forget_description(vm);
	saved_state_look(vm);
	events_publish(vm->vmms, "vm.changed", vm, NULL,
		       json_pack("{s:I}", "revision", vm_revision(vm)));
}

/* It goes on with what it was started with, and people get to know that this is not what they wrote. */
static void tell_edit(struct vm *vm)
{
	struct json_file_error error = {{0}};
	char path[VM_PATH_BYTES], text[VM_REASON_BYTES];
	json_t *c = NULL;

	vm_path(vm, "vm.json", path);
	enum json_file_result r = json_file_load(path, VM_FORMAT, &c, &error);

	json_decref(c);
	snprintf(text, sizeof(text),
		 "%.300s was changed by somebody else while the VM runs; it is read when the VM is "
		 "off or "
		 "saved, and no setting is changed until then%s%.700s",
		 path, r == JSON_FILE_OK ? "" : ": ", r == JSON_FILE_OK ? "" : error.text);
	if (strcmp(vm->reason, text) != 0) {
		log_line("%s: %s", vm_name(vm), text);
	}
	vm_set_critical(vm, text);
}

bool store_look_at_edit(struct vm *vm)
{
	if (vm->unusable || !store_was_edited(vm)) {
		return false;
	}
	if (vm_is_active(vm)) {
		tell_edit(vm);
	} else if (vm->job == NULL) {
		take_edit(vm);
		return false;
	}
	return true;
}
