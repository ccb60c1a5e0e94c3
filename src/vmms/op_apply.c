// SPDX-License-Identifier: Apache-2.0
/* Going back to a checkpoint (Decision: docs/design/0008-checkpoints.md, "Apply"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_disks.h"
#include "checkpoint_files.h"
#include "checkpoint_journal.h"
#include "lib/check.h"
#include "op.h"
#include "op_checkpoint.h"
#include "saved_state.h"
#include "store.h"
#include "task.h"
#include "vmms.h"

struct application {
	struct vm *vm;
	struct job *job;
	json_t *record;
	bool ran; /* the VM did, before */
	struct checkpoint_disks disks;
	bool failed;
	struct checkpoint_failure failure;
};

static void forget(struct application *a)
{
	a->vm->op = NULL;
	checkpoint_disks_fini(&a->disks);
	json_decref(a->record);
	free(a);
}

static void give_up(struct application *a, enum api_error code, const char *text)
{
	struct job *j = a->job;
	struct vm *vm = a->vm;
	bool ran = a->ran;
	char why[sizeof(a->failure.text)]; /* what @text points to may go with @a */

	snprintf(why, sizeof(why), "%s", text);
	checkpoint_disks_remove(&a->disks);
	journal_end(vm);
	forget(a);
	job_fail(j, code, NULL, "%s: the checkpoint is not applied%s: %s", vm_name(vm),
		 ran ? ", but the machine is off" : "", why);
}

/* ---- The end ---- */

/* Members of the configuration that are the VM's, whatever state it is in. */
static void keep(const json_t *present, json_t *c)
{
	static const char *const members[] = {"format", "revision", "id",
					      "name",	"created",  "checkpoints"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *v = json_object_get(present, members[i]);

		if (v != NULL) {
			json_object_set_new(c, members[i], json_deep_copy(v));
		}
	}
}

static json_t *configuration_of(const struct application *a)
{
	const char *id = json_string_value(json_object_get(a->record, "id"));
	json_t *c = json_deep_copy(json_object_get(a->record, "configuration"));
	char state[96];

	CHECK(c != NULL);
	keep(a->vm->configuration, c);
	json_object_del(c, "restore_from");
	if (json_is_true(json_object_get(a->record, "with_memory"))) {
		checkpoint_name(id, ".vmrs", state);
		json_object_set_new(c, "restore_from", json_string(state));
	}
	checkpoint_disks_switch(&a->disks, c);
	json_object_set_new(json_object_get(c, "checkpoints"), "parent", json_string(id));
	return c;
}

static void complete(struct vm *vm, struct job *j, void *ctx)
{
	(void)vm;
	(void)ctx;
	job_complete(j, NULL);
}

static void go_on(struct application *a)
{
	struct vm *vm = a->vm;
	struct job *j = a->job;
	bool start = a->ran && vm->has_saved;

	forget(a);
	if (start) {
		job_forbid_cancel(j);
		op_start(vm, j); /* unused files go when it has ended */
	} else {
		op_tidy(vm, j, complete, NULL);
	}
}

static void made(void *ctx)
{
	struct application *a = ctx;
	struct vm *vm = a->vm;
	struct json_file_error error;

	if (a->failed) {
		give_up(a, a->failure.code, a->failure.text);
		return;
	}
	/* The present's memory must not meet other disks, whatever crashes. */
	if (vm->has_saved && saved_state_used(vm) < 0) {
		give_up(a, API_FAILED, "the saved state cannot be removed");
		return;
	}
	if (store_configure(vm, configuration_of(a), &error) < 0) {
		give_up(a, API_NO_SPACE, error.text);
		return;
	}
	journal_end(vm);
	saved_state_look(vm);
	vm_set_state(vm, vm->has_saved ? VM_SAVED : VM_OFF);
	go_on(a);
}

static void make(void *ctx)
{
	struct application *a = ctx;

	a->failed = !checkpoint_disks_make(&a->disks, a->job, &a->failure);
}

/* ---- The beginning: the VM is off ---- */

static bool has_memory_file(const struct application *a, char path[VM_PATH_BYTES])
{
	char name[96];

	checkpoint_name(json_string_value(json_object_get(a->record, "id")), ".vmrs", name);
	vm_path(a->vm, name, path);
	return !json_is_true(json_object_get(a->record, "with_memory")) || access(path, R_OK) == 0;
}

static void begin(struct application *a)
{
	struct vm *vm = a->vm;
	struct json_file_error error;
	char path[VM_PATH_BYTES], why[VM_PATH_BYTES + 100];

	checkpoint_recover(vm, NULL);

	checkpoint_disks_take(vm, json_object_get(a->record, "configuration"), &a->disks);
	if (!has_memory_file(a, path)) {
		snprintf(why, sizeof(why),
			 "its memory, %s, is not there; put it back, or remove the checkpoint",
			 path);
		give_up(a, API_NOT_FOUND, why);
		return;
	}
	if (journal_write(vm,
			  json_pack("{s:i, s:s, s:O, s:o}", "format", 1, "kind", "apply", "id",
				    json_object_get(a->record, "id"), "disks",
				    checkpoint_disks_json(&a->disks)),
			  &error) < 0) {
		give_up(a, API_NO_SPACE, error.text);
		return;
	}
	job_progress(a->job, 10, "disks");
	task_run(vm->vmms->tasks, make, made, a);
}

static void on_off(struct vm *vm, const struct vm_end *end)
{
	(void)end;
	vm->wanted = false;
	begin(vm->op);
}

void op_apply(struct vm *vm, struct job *j, const char *id)
{
	struct application *a = calloc(1, sizeof(*a));
	json_t *record = checkpoint_find(vm, id);

	CHECK(a != NULL && record != NULL);
	*a = (struct application){.vm = vm, .job = j, .record = json_deep_copy(record)};
	CHECK(a->record != NULL);
	vm->op = a;
	if (vm_is_active(vm)) {
		a->ran = true;
		op_turn_off(vm, j, on_off);
	} else {
		begin(a);
	}
}
