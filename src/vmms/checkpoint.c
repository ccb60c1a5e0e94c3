// SPDX-License-Identifier: Apache-2.0
#include "checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "host/log.h"
#include "lib/check.h"
#include "new_id.h"

void checkpoint_name(const char *id, const char *extension, char ret[96])
{
	snprintf(ret, 96, "checkpoints/%s%s", id, extension);
}

static void path_of(const struct vm *vm, const char *id, const char *extension,
		    char ret[VM_PATH_BYTES])
{
	char name[96];

	checkpoint_name(id, extension, name);
	vm_path(vm, name, ret);
}

/* ---- Reading ---- */

static bool is_text(const json_t *o, const char *member)
{
	return json_is_string(json_object_get(o, member));
}

/* Is it a record, and that of @id? People may edit these files. */
static bool is_record(const json_t *o, const char *id)
{
	const json_t *parent = json_object_get(o, "parent"),
		     *configuration = json_object_get(o, "configuration");

	return is_text(o, "id") && strcmp(json_string_value(json_object_get(o, "id")), id) == 0 &&
	       is_text(o, "name") && is_text(o, "created") && is_text(o, "kind") &&
	       (parent == NULL || json_is_null(parent) || json_is_string(parent)) &&
	       json_is_boolean(json_object_get(o, "with_memory")) &&
	       json_is_object(configuration) &&
	       json_is_array(json_object_get(configuration, "disks"));
}

static void load_one(struct vm *vm, const char *file)
{
	const char *dot = strrchr(file, '.');
	char id[GUID_TEXT_BYTES], wanted[GUID_TEXT_BYTES], path[VM_PATH_BYTES];
	struct json_file_error error;
	json_t *record;

	if (dot == NULL || strcmp(dot, ".json") != 0 || dot - file != GUID_TEXT_BYTES - 1) {
		return;
	}
	snprintf(wanted, sizeof(wanted), "%.*s", (int)(dot - file), file);
	if (!normal_id(wanted, id) || strcmp(id, wanted) != 0) {
		return;
	}
	path_of(vm, id, ".json", path);
	if (json_file_load(path, 1, &record, &error) != JSON_FILE_OK) {
		log_line("%s: a checkpoint cannot be read: %s", vm_name(vm), error.text);
	} else if (!is_record(record, id)) {
		log_line("%s: %s is not a checkpoint's record; it is left alone", vm_name(vm),
			 path);
		json_decref(record);
	} else {
		json_object_set_new(vm->checkpoints, id, record);
	}
}

json_t *checkpoints_of(struct vm *vm)
{
	char folder[VM_PATH_BYTES];
	struct dirent *entry;

	if (vm->checkpoints != NULL) {
		return vm->checkpoints;
	}
	vm->checkpoints = json_object();
	CHECK(vm->checkpoints != NULL);
	vm_path(vm, "checkpoints", folder);
	DIR *d = opendir(folder);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		load_one(vm, entry->d_name);
	}
	if (d != NULL) {
		closedir(d);
	}
	return vm->checkpoints;
}

void checkpoints_forget(struct vm *vm)
{
	json_decref(vm->checkpoints);
	vm->checkpoints = NULL;
}

json_t *checkpoint_find(struct vm *vm, const char *id)
{
	return id == NULL ? NULL : json_object_get(checkpoints_of(vm), id);
}

const char *checkpoint_of_present(const struct vm *vm)
{
	return json_string_value(
		json_object_get(json_object_get(vm->configuration, "checkpoints"), "parent"));
}

/* ---- By name ---- */

static void refuse_ambiguous(struct call *c, struct vm *vm, const char *name)
{
	json_t *all = json_array();

	for (void *i = json_object_iter(checkpoints_of(vm)); i != NULL;
	     i = json_object_iter_next(vm->checkpoints, i)) {
		json_t *record = json_object_iter_value(i);

		if (strcmp(json_string_value(json_object_get(record, "name")), name) == 0) {
			json_array_append_new(all, checkpoint_json(vm, record));
		}
	}
	call_refuse(c, API_AMBIGUOUS, json_pack("{s:o}", "candidates", all),
		    "%s has several checkpoints named '%.100s'; use an id", vm_name(vm), name);
}

json_t *checkpoint_of_call(struct call *c, struct vm *vm)
{
	const char *text = c->parameters[1];
	char id[GUID_TEXT_BYTES];
	json_t *found = normal_id(text, id) ? checkpoint_find(vm, id) : NULL;
	unsigned count = 0;

	for (void *i = json_object_iter(checkpoints_of(vm)); i != NULL && found == NULL;
	     i = json_object_iter_next(vm->checkpoints, i)) {
		json_t *record = json_object_iter_value(i);

		if (strcmp(json_string_value(json_object_get(record, "name")), text) == 0) {
			count++;
		}
	}
	if (count > 1) {
		refuse_ambiguous(c, vm, text);
		return NULL;
	}
	for (void *i = json_object_iter(checkpoints_of(vm)); i != NULL && found == NULL;
	     i = json_object_iter_next(vm->checkpoints, i)) {
		json_t *record = json_object_iter_value(i);

		if (strcmp(json_string_value(json_object_get(record, "name")), text) == 0) {
			found = record;
		}
	}
	if (found == NULL) {
		call_refuse(c, API_NOT_FOUND, NULL,
			    "%s has no checkpoint '%.100s'; virid checkpoint list shows them",
			    vm_name(vm), text);
	}
	return found;
}

/* ---- Writing ---- */

int checkpoint_write(struct vm *vm, json_t *record, struct json_file_error *error)
{
	const char *id = json_string_value(json_object_get(record, "id"));
	char path[VM_PATH_BYTES];

	CHECK(id != NULL);
	path_of(vm, id, ".json", path);
	int r = json_file_save(path, record, true, error);

	if (r == 0) {
		json_object_set(checkpoints_of(vm), id, record);
	}
	json_decref(record);
	return r;
}

int checkpoint_delete(struct vm *vm, const char *id, struct json_file_error *error)
{
	char path[VM_PATH_BYTES], folder[VM_PATH_BYTES];

	path_of(vm, id, ".json", path);
	if (unlink(path) < 0 && errno != ENOENT) {
		int r = -errno;

		snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(-r));
		return r;
	}
	vm_path(vm, "checkpoints", folder);
	int r = folder_flush(folder);

	if (r < 0) {
		snprintf(error->text, sizeof(error->text), "%s: %s", folder, strerror(-r));
		return r;
	}
	path_of(vm, id, ".vmrs", path);
	unlink(path);
	json_object_del(checkpoints_of(vm), id);
	return 0;
}

json_t *checkpoint_json(const struct vm *vm, const json_t *record)
{
	const char *present = checkpoint_of_present(vm),
		   *id = json_string_value(json_object_get(record, "id"));
	json_t *o = json_object();
	static const char *const members[] = {"id",	 "name", "parent",
					      "created", "kind", "with_memory"};

	CHECK(o != NULL);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *v = json_object_get(record, members[i]);

		json_object_set_new(o, members[i], v == NULL ? json_null() : json_incref(v));
	}
	json_object_set_new(o, "current",
			    json_boolean(present != NULL && strcmp(present, id) == 0));
	return o;
}
