// SPDX-License-Identifier: Apache-2.0
/*
 * What was interrupted (Decision: docs/design/0008-checkpoints.md, "After a crash of the service"). A checkpoint exists exactly when its record does; the present
 * writes the new files when they are whole and fit, as nothing else can have been written then; a worker that lives is believed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "checkpoint.h"
#include "checkpoint_files.h"
#include "checkpoint_journal.h"
#include "checkpoint_look.h"
#include "host/log.h"
#include "lib/check.h"
#include "op_checkpoint.h"
#include "plan.h"
#include "saved_state.h"
#include "store.h"
#include "vhd/vhd.h"
#include "vm_settle.h"

static const char *text(const json_t *o, const char *member)
{
	const char *s = json_string_value(json_object_get(o, member));

	return s == NULL ? "" : s;
}

/* Can the file at @path be opened with all its parents? */
static bool is_whole(const struct vhd_host *host, const char *path)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;

	if (vhd_open(host, path, 0, &d, &error) != 0) {
		return false;
	}
	vhd_close(d);
	return true;
}

static bool all_whole(const struct vm *vm, const json_t *disks)
{
	struct vhd_host host;
	struct backend *backend;
	bool whole = true;

	if (backend_create(16, &backend) < 0) {
		return false;
	}
	backend_vhd_host(backend, &host);
	for (size_t i = 0; i < json_array_size(disks) && whole; i++) {
		char *path = plan_path(vm, text(json_array_get(disks, i), "new"));

		whole = is_whole(&host, path);
		free(path);
	}
	backend_destroy(backend);
	return whole;
}

static bool worker_writes(const struct vm *vm, const char *answer, const char *path)
{
	char *absolute = plan_path(vm, path);
	const char *place;
	size_t bytes;
	bool writes = vm_info_writes(answer, absolute, &place, &bytes);

	free(absolute);
	return writes;
}

static bool all_written(const struct vm *vm, const char *answer, const json_t *disks)
{
	for (size_t i = 0; i < json_array_size(disks); i++) {
		if (!worker_writes(vm, answer, text(json_array_get(disks, i), "new"))) {
			return false;
		}
	}
	return true;
}

static bool is_switched(const struct vm *vm, const json_t *disks)
{
	for (size_t i = 0; i < json_array_size(disks); i++) {
		if (!checkpoint_disks_use(vm->configuration,
					  text(json_array_get(disks, i), "new"))) {
			return false;
		}
	}
	return true;
}

static void configure(struct vm *vm, json_t *c)
{
	struct json_file_error error;

	if (store_configure(vm, c, &error) < 0) {
		log_line("%s: %s", vm_name(vm), error.text);
	}
}

static void take_new_files(struct vm *vm, const json_t *disks)
{
	json_t *c = json_deep_copy(vm->configuration);

	CHECK(c != NULL);
	for (size_t i = 0; i < json_array_size(disks); i++) {
		const json_t *d = json_array_get(disks, i);

		checkpoint_files_add(c, text(d, "old"), NULL, false);
		checkpoint_files_add(c, text(d, "new"), text(d, "old"), true);
		checkpoint_disks_rename(c, text(d, "old"), text(d, "new"));
	}
	configure(vm, c);
}

/* "NAME.part-XXXXXXXX" beside the file @path: what was being made when we were killed. */
static void remove_parts(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[VM_PATH_BYTES];
	struct dirent *entry;
	DIR *d;

	CHECK(slash != NULL);
	snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path);
	d = opendir(folder);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		size_t n = strlen(slash + 1);

		if (strncmp(entry->d_name, slash + 1, n) == 0 &&
		    strncmp(entry->d_name + n, ".part-", 6) == 0) {
			unlinkat(dirfd(d), entry->d_name, 0);
		}
	}
	if (d != NULL) {
		closedir(d);
	}
}

static void remove_new_files(const struct vm *vm, const json_t *disks)
{
	for (size_t i = 0; i < json_array_size(disks); i++) {
		char *path = plan_path(vm, text(json_array_get(disks, i), "new"));

		unlink(path);
		remove_parts(path);
		free(path);
	}
}

/* Memory of a checkpoint without a record is nobody's. */
static void remove_states(struct vm *vm, const char *id)
{
	static const char *const extensions[] = {".vmrs", ".vmrs.new"};
	char name[96], path[VM_PATH_BYTES];

	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		checkpoint_name(id, extensions[i], name);
		vm_path(vm, name, path);
		unlink(path);
	}
}

static void finish_checkpoint(struct vm *vm, const char *id)
{
	const char *present = checkpoint_of_present(vm);

	if (checkpoint_find(vm, id) == NULL) {
		remove_states(vm, id);
	} else if (present == NULL || strcmp(present, id) != 0) {
		json_t *c = json_deep_copy(vm->configuration);

		CHECK(c != NULL);
		json_object_set_new(json_object_get(c, "checkpoints"), "parent", json_string(id));
		configure(vm, c);
	}
}

/* ---- A merge of the file that is written ---- */

static bool was_merged(const struct vm *vm, const char *path)
{
	struct vhd_error error = {{0}};
	struct vhd_host host;
	struct backend *backend;
	struct vhd_disk *d;

	if (backend_create(16, &backend) < 0) {
		return false;
	}
	backend_vhd_host(backend, &host);
	char *absolute = plan_path(vm, path);
	int r = vhd_open(&host, absolute, 0, &d, &error);

	if (r == 0) {
		vhd_close(d);
	}
	free(absolute);
	backend_destroy(backend);
	return r == VHD_MERGED;
}

/* From one moment on the base is what the guest writes, and what was merged into it is of no use. */
static void recover_top(struct vm *vm, const char *answer, const json_t *disk)
{
	const char *last = text(disk, "old"), *base = text(disk, "new");
	bool pivoted = answer != NULL ? worker_writes(vm, answer, base) : was_merged(vm, last);

	if (pivoted && checkpoint_disks_use(vm->configuration, last)) {
		json_t *c = json_deep_copy(vm->configuration);

		CHECK(c != NULL);
		checkpoint_disks_rename(c, last, base);
		configure(vm, c);
	}
}

/* Nobody saw its end: the top by what is written, the others by what the files say, later. */
static void recover_merge(struct vm *vm, const char *answer, const json_t *o)
{
	if (answer != NULL && !vm_is_settled(answer)) {
		return;
	}
	if (json_is_true(json_object_get(o, "top"))) {
		recover_top(vm, answer, json_array_get(json_object_get(o, "disks"), 0));
	}
	checkpoint_look_want(vm);
	journal_end(vm);
}

void checkpoint_recover_merge(struct vm *vm)
{
	json_t *o = vm_is_active(vm) ? NULL : journal_read(vm);

	if (o != NULL && strcmp(text(o, "kind"), "merge") == 0) {
		recover_merge(vm, NULL, o);
	}
	json_decref(o);
}

/* ---- All ---- */

void checkpoint_recover(struct vm *vm, const char *answer)
{
	json_t *o = vm->unusable ? NULL : journal_read(vm);
	const json_t *disks = json_object_get(o, "disks");

	if (o == NULL) {
		return;
	}
	if (strcmp(text(o, "kind"), "merge") == 0) {
		recover_merge(vm, answer, o);
		json_decref(o);
		return;
	}
	if (strcmp(text(o, "kind"), "forget") == 0) {
		if (checkpoint_recover_forget(vm, o)) {
			journal_end(vm);
		}
		json_decref(o);
		return;
	}
	bool checkpoint = strcmp(text(o, "kind"), "checkpoint") == 0,
	     switched = is_switched(vm, disks);

	if (answer != NULL && !vm_is_settled(answer)) {
		json_decref(o); /* what it was asked for it is still doing: later */
		return;
	}
	if (!switched && (answer != NULL ? all_written(vm, answer, disks)
					 : checkpoint && all_whole(vm, disks))) {
		take_new_files(vm, disks);
	} else if (!switched) {
		remove_new_files(vm, disks);
	}
	if (checkpoint) {
		finish_checkpoint(vm, text(o, "id"));
	}
	journal_end(vm);
	json_decref(o);
	saved_state_look(vm);
}
