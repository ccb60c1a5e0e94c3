// SPDX-License-Identifier: Apache-2.0
/* Requests about checkpoints. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "op_checkpoint.h"
#include "op_copy.h"
#include "policy.h"
#include "routes.h"

/* ---- Looking ---- */

static int by_time(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(json_string_value(json_object_get(*x, "created")),
		      json_string_value(json_object_get(*y, "created")));
}

/* The oldest first. */
static json_t *list_of(struct vm *vm)
{
	json_t *all = checkpoints_of(vm), *list = json_array();
	size_t count = json_object_size(all), n = 0;
	json_t **sorted = calloc(count + 1, sizeof(json_t *));

	CHECK(list != NULL && sorted != NULL);
	for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
		sorted[n++] = json_object_iter_value(i);
	}
	qsort(sorted, n, sizeof(json_t *), by_time);
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(list, checkpoint_json(vm, sorted[i]));
	}
	free(sorted);
	return list;
}

static void list(struct call *c)
{
	struct vm *vm = vm_of_call(c);

	if (vm != NULL) {
		call_ok(c, json_pack("{s:o}", "checkpoints", list_of(vm)));
	}
}

static void show(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	json_t *record = vm == NULL ? NULL : checkpoint_of_call(c, vm);

	if (record != NULL) {
		json_t *o = checkpoint_json(vm, record);

		json_object_set(o, "configuration", json_object_get(record, "configuration"));
		call_ok(c, o);
	}
}

/* ---- Making ---- */

static bool take_name(struct call *c, bool needed, const char **ret)
{
	const json_t *v = json_object_get(c->body, "name");
	size_t length = json_string_length(v);

	if ((v == NULL && !needed) ||
	    (json_is_string(v) && (length > 0 || !needed) && length < CHECKPOINT_NAME_BYTES)) {
		*ret = json_string_value(v);
		return true;
	}
	call_refuse(c, API_INVALID, NULL, "name: expected a text of 1 to %u bytes",
		    CHECKPOINT_NAME_BYTES - 1);
	return false;
}

/* What the request says, else what the VM's settings do. */
static bool take_kind(struct call *c, const struct vm *vm, enum checkpoint_kind *ret)
{
	static const struct {
		const char *name;
		enum checkpoint_kind kind;
	} kinds[] = {{"standard", CHECKPOINT_STANDARD},
		     {"production", CHECKPOINT_PRODUCTION},
		     {"production-only", CHECKPOINT_PRODUCTION_ONLY}};
	const char *type = json_string_value(
		json_object_get(json_object_get(vm->configuration, "checkpoints"), "type"));
	const json_t *v = json_object_get(c->body, "kind");
	const char *kind = v == NULL ? type : json_string_value(v);

	if (type != NULL && strcmp(type, "disabled") == 0) {
		call_refuse(c, API_WRONG_STATE, NULL,
			    "checkpoints of %s are disabled; virid vm set %s --checkpoints "
			    "standard allows them",
			    vm_name(vm), vm_name(vm));
		return false;
	}
	for (size_t i = 0; kind != NULL && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kind, kinds[i].name) == 0) {
			*ret = kinds[i].kind;
			return true;
		}
	}
	call_refuse(c, API_INVALID, NULL, "kind: expected standard, production or production-only");
	return false;
}

static void create(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	enum checkpoint_kind kind = CHECKPOINT_STANDARD;
	const char *name;

	/* What cannot be read says nothing of kinds: vm_op_begin tells why. */
	if (vm == NULL || !take_name(c, false, &name) ||
	    (!vm->unusable && !take_kind(c, vm, &kind))) {
		return;
	}
	struct job *j = vm_op_begin(c, vm, VM_OP_CHECKPOINT);

	if (j != NULL) {
		op_checkpoint(vm, j, name, kind, NULL);
		call_job(c, j);
	}
}

/* ---- Going back ---- */

/* The checkpoint that is to be applied, while another one is made first. */
struct apply_later {
	char id[GUID_TEXT_BYTES];
};

static void apply_now(struct vm *vm, struct job *j)
{
	struct apply_later *later = vm->then;

	vm->then = NULL;
	if (checkpoint_find(vm, later->id) != NULL) {
		op_apply(vm, j, later->id);
	} else {
		job_fail(j, API_NOT_FOUND, NULL, "%s has that checkpoint no more", vm_name(vm));
	}
	free(later);
}

static void apply_after(struct vm *vm, struct job *j, const char *id)
{
	struct apply_later *later = calloc(1, sizeof(*later));

	CHECK(later != NULL);
	memcpy(later->id, id, strlen(id) + 1);
	free(vm->then); /* of one that failed */
	vm->then = later;
	op_checkpoint(vm, j, NULL, CHECKPOINT_STANDARD, apply_now);
}

static void apply(struct call *c)
{
	const json_t *first = json_object_get(c->body, "checkpoint_first");
	struct vm *vm = vm_of_call(c);
	json_t *record = vm == NULL ? NULL : checkpoint_of_call(c, vm);
	const char *id = json_string_value(json_object_get(record, "id"));

	if (record == NULL) {
		return;
	}
	if (first != NULL && !json_is_boolean(first)) {
		call_refuse(c, API_INVALID, NULL, "checkpoint_first: expected true or false");
		return;
	}
	struct job *j = vm_op_begin(c, vm, VM_OP_APPLY);

	if (j == NULL) {
		return;
	}
	policy_forget_recovery(vm);
	if (json_is_true(first)) {
		apply_after(vm, j, id);
	} else {
		op_apply(vm, j, id);
	}
	call_job(c, j);
}

/* ---- Copying ---- */

static void export_it(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	const json_t *record = vm == NULL ? NULL : checkpoint_of_call(c, vm);

	if (record != NULL) {
		op_export_checkpoint(c, vm, record);
	}
}

/* ---- Changing ---- */

static void rename_it(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	json_t *record = vm == NULL ? NULL : checkpoint_of_call(c, vm);
	struct json_file_error error;
	const char *name;

	if (record == NULL || !take_name(c, true, &name)) {
		return;
	}
	json_t *changed = json_deep_copy(record);

	CHECK(changed != NULL);
	json_object_set_new(changed, "name", json_string(name));
	json_incref(changed);
	if (checkpoint_write(vm, changed, &error) < 0) {
		call_refuse(c, API_FAILED, NULL, "%s", error.text);
	} else {
		call_ok(c, checkpoint_json(vm, changed));
	}
	json_decref(changed);
}

static void remove_it(struct call *c)
{
	struct vm *vm = vm_of_call(c);
	json_t *record = vm == NULL ? NULL : checkpoint_of_call(c, vm);
	const char *subtree = call_query(c, "subtree");
	struct job *j = record == NULL ? NULL : vm_op_begin(c, vm, VM_OP_CHECKPOINT);

	if (j != NULL) {
		op_forget(vm, j, json_string_value(json_object_get(record, "id")),
			  subtree != NULL && strcmp(subtree, "0") != 0);
		call_job(c, j);
	}
}

static const struct route routes[] = {
	{"GET", "/vms/{vm}/checkpoints", RIGHT_READ, false, list,
	 "Lists a VM's checkpoints, the oldest first", NULL, "CheckpointList"},
	{"POST", "/vms/{vm}/checkpoints", RIGHT_OPERATE, true, create,
	 "Remembers the present state", "NewCheckpoint", "Job"},
	{"GET", "/vms/{vm}/checkpoints/{checkpoint}", RIGHT_READ, false, show,
	 "Shows a checkpoint with its configuration", NULL, "Checkpoint"},
	{"PATCH", "/vms/{vm}/checkpoints/{checkpoint}", RIGHT_OPERATE, true, rename_it,
	 "Renames a checkpoint", "Rename", "Checkpoint", .beside = true},
	{"DELETE", "/vms/{vm}/checkpoints/{checkpoint}", RIGHT_OPERATE, true, remove_it,
	 "Removes a checkpoint, with ?subtree=1 also all that come from it", NULL, "Job"},
	{"POST", "/vms/{vm}/checkpoints/{checkpoint}/apply", RIGHT_OPERATE, true, apply,
	 "Goes back to a checkpoint's state", "Apply", "Job"},
	{"POST", "/vms/{vm}/checkpoints/{checkpoint}/export", RIGHT_CHANGE, true, export_it,
	 "Copies a checkpoint, as a VM of its own, to a folder", "ExportCheckpoint", "Job"},
};

const struct route_table checkpoint_routes = {routes, ARRAY_LEN(routes)};
