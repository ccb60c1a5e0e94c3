// SPDX-License-Identifier: Apache-2.0
/*
 * Clone: what the VM's disks hold now stays as it is, as the parent of two new differencing disks: the VM goes on in one, the clone in the other.
 * So both run, and neither can damage the other. Removing the VM with its files is refused while somebody stands on them (op_remove.c); of the list of the
 * VM's files under checkpoints all that are below are used by the clone (checkpoint_files_pin), and merge again when it is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "adapter_check.h"
#include "api_error.h"
#include "checkpoint_files.h"
#include "checkpoint_journal.h"
#include "config.h"
#include "disk_make.h"
#include "job.h"
#include "lib/check.h"
#include "new_id.h"
#include "op_checkpoint.h"
#include "op_copy.h"
#include "paths.h"
#include "plan.h"
#include "store.h"
#include "task.h"
#include "vm.h"
#include "vmms.h"

/* One disk: the file that both stand on from now on, and the two. */
struct layer {
	char *base;
	char *ours, *theirs;
	char *old_path, *new_path; /* of the VM, as its configuration says them */
};

struct clone {
	struct vm *vm;
	struct job *job;
	json_t *ours, *theirs; /* configurations afterwards */
	char id[GUID_TEXT_BYTES];
	char grown[VM_PATH_BYTES + 16];
	struct layer *layers;
	size_t count;
	bool failed;
	struct disk_make_error error;
};

static void forget(struct clone *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->layers[i].base);
		free(n->layers[i].ours);
		free(n->layers[i].theirs);
		free(n->layers[i].old_path);
		free(n->layers[i].new_path);
	}
	free(n->layers);
	json_decref(n->ours);
	json_decref(n->theirs);
	free(n);
}

/* ---- Making ---- */

/* @ours: the VM's new files, too. */
static void unmake(struct clone *n, bool ours)
{
	for (size_t i = 0; ours && i < n->count; i++) {
		unlink(n->layers[i].ours);
	}
	paths_remove_tree(n->grown);
}

static void work(void *ctx)
{
	struct clone *n = ctx;
	char folder[VM_PATH_BYTES + 32], error[600];

	snprintf(folder, sizeof(folder), "%s/disks", n->grown);
	if (!paths_make(folder, 0700, error, sizeof(error))) {
		n->failed = true;
		n->error.code = api_error_of_errno(errno);
		snprintf(n->error.text, sizeof(n->error.text), "%s", error);
	}
	for (size_t i = 0; !n->failed && i < n->count; i++) {
		const struct layer *l = &n->layers[i];

		job_progress(n->job, (unsigned)(i * 100 / n->count), "making disks");
		n->failed = !disk_make(l->theirs, 0, l->base, n->job, &n->error) ||
			    !disk_make(l->ours, 0, l->base, n->job, &n->error);
	}
	if (n->failed) {
		unmake(n, true);
	}
}

/* What is new may be removed after a crash, until the configuration names it. */
static bool write_journal(struct clone *n)
{
	json_t *disks = json_array();
	struct json_file_error error;

	for (size_t i = 0; i < n->count; i++) {
		json_array_append_new(disks, json_pack("{s:s, s:s}", "old", n->layers[i].old_path,
						       "new", n->layers[i].new_path));
	}
	int r = journal_write(
		n->vm, json_pack("{s:i, s:s, s:o}", "format", 1, "kind", "clone", "disks", disks),
		&error);

	if (r < 0) {
		job_fail(n->job, api_error_of_errno(-r), NULL, "%s was not cloned: %s",
			 vm_name(n->vm), error.text);
	}
	return r == 0;
}

static void finish(struct clone *n)
{
	struct json_file_error error;
	int r = store_configure(n->vm, json_incref(n->ours), &error);
	struct vm *made =
		r < 0 ? NULL : store_create(n->vm->vmms, json_incref(n->theirs), &error, &r);

	journal_end(n->vm);
	if (made != NULL) {
		job_complete(n->job, vm_details(made));
		return;
	}
	/* When it was the second step that failed the VM stands on its new disks already, which hold nothing yet, and merge. */
	unmake(n,
	       n->count > 0 && !checkpoint_disks_use(n->vm->configuration, n->layers[0].new_path));
	job_fail(n->job, api_error_of_errno(-r), NULL, "%s was not cloned: %s", vm_name(n->vm),
		 error.text);
}

static void done(void *ctx)
{
	struct clone *n = ctx;

	if (n->failed) {
		journal_end(n->vm);
	}
	if (!n->failed) {
		finish(n);
	} else if (n->error.cancelled) {
		job_cancelled(n->job);
	} else {
		job_fail(n->job, n->error.code, NULL, "%s was not cloned: %s", vm_name(n->vm),
			 n->error.text);
	}
	op_tidy_later(n->vm);
	forget(n);
}

/* ---- The plan ---- */

/* A new file beside @base for the VM, and one of the same name in the clone's folder. */
static void add_layer(struct clone *n, json_t *ours, json_t *theirs, const char *base)
{
	const char *path = json_string_value(json_object_get(ours, "path"));
	struct layer *l = &n->layers[n->count++];

	l->base = strdup(base);
	l->old_path = strdup(path);
	CHECK(l->base != NULL && l->old_path != NULL);
	l->new_path = checkpoint_new_path(path);
	l->ours = plan_path(n->vm, l->new_path);
	const char *name = strrchr(l->ours, '/') + 1;

	CHECK(asprintf(&l->theirs, "%s/disks/%s", n->grown, name) > 0);
	json_object_set_new(theirs, "path", json_sprintf("disks/%s", name));
	checkpoint_files_add(n->ours, l->old_path, NULL, false);
	checkpoint_files_add(n->ours, l->new_path, l->old_path, true);
	checkpoint_files_pin(n->ours, l->old_path);
	checkpoint_disks_rename(n->ours, l->old_path, l->new_path);
}

static bool plan_layers(struct call *c, struct clone *n)
{
	json_t *ours = json_object_get(n->ours, "disks"),
	       *theirs = json_object_get(n->theirs, "disks");
	size_t count = json_array_size(ours);

	n->layers = calloc(count + 1, sizeof(*n->layers));
	CHECK(n->layers != NULL);
	for (size_t i = 0; i < count; i++) {
		json_t *o = json_array_get(ours, i), *t = json_array_get(theirs, i);
		char *path = plan_path(n->vm, json_string_value(json_object_get(o, "path")));
		char *real = realpath(path, NULL);
		bool raw = json_is_true(json_object_get(o, "raw"));

		free(path);
		if (real == NULL || raw) {
			char place[32];

			vm_config_place_text(o, place);
			call_refuse(c, raw ? API_NOT_SUPPORTED : API_NOT_FOUND, NULL,
				    "%s cannot be cloned: its disk %s %s", vm_name(n->vm), place,
				    raw ? "is a raw image" : "is not there");
			free(real);
			return false;
		}
		if (json_is_true(json_object_get(o, "read_only"))) {
			json_object_set_new(t, "path", json_string(real)); /* both read the same */
		} else {
			add_layer(n, o, t, real);
		}
		free(real);
	}
	return true;
}

/* Whom it comes from, and whom they come from: none of them loses its files while it is there. */
static json_t *ancestry(const struct vm *vm)
{
	json_t *all = json_copy(json_object_get(vm->configuration, "cloned_from"));

	if (!json_is_array(all)) {
		json_decref(all);
		all = json_array();
	}
	json_array_append_new(all, json_string(vm->id));
	return all;
}

static bool plan_configs(struct call *c, struct clone *n, json_t *name)
{
	static const char *const own[] = {"format",  "revision",    "id",
					  "created", "checkpoints", "restore_from"};
	json_t *body = json_deep_copy(n->vm->configuration),
	       *adapters = json_object_get(body, "adapters");
	json_t *type =
		json_object_get(json_object_get(n->vm->configuration, "checkpoints"), "type");
	struct schema_error error;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		json_object_del(body, own[i]);
	}
	for (size_t i = 0; i < json_array_size(adapters); i++) {
		json_object_del(json_array_get(adapters, i), "mac"); /* the clone gets others */
	}
	json_object_set(body, "name", name);
	if (type != NULL) {
		json_object_set_new(body, "checkpoints", json_pack("{s:O}", "type", type));
	}
	n->theirs = vm_config_create(body, n->id, &error);
	n->ours = json_deep_copy(n->vm->configuration);
	json_decref(body);
	if (n->theirs == NULL) {
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
	} else {
		json_object_set_new(n->theirs, "cloned_from", ancestry(n->vm));
	}
	return n->theirs != NULL;
}

static bool may_be_cloned(struct call *c, const struct vm *vm)
{
	if (vm->state == VM_SAVED) {
		call_refuse(c, API_WRONG_STATE, json_pack("{s:s}", "state", "saved"),
			    "clone: %s is saved, and its saved state goes with its disks; start "
			    "it, or remove the state",
			    vm_name(vm));
		return false;
	}
	return true;
}

void op_clone(struct call *c, struct vm *vm)
{
	json_t *name = json_object_get(c->body, "name");
	struct clone *n;

	if (!vm_op_allowed(c, vm, VM_OP_COPY) || !may_be_cloned(c, vm)) {
		return;
	}
	if (!json_is_string(name)) {
		call_refuse(c, API_INVALID, NULL, "name: expected the new VM's name");
		return;
	}
	checkpoint_recover(vm, NULL);
	n = calloc(1, sizeof(*n));
	CHECK(n != NULL);
	n->vm = vm;
	new_id(n->id);
	snprintf(n->grown, sizeof(n->grown), "%s/vms/.new-%s", c->vmms->state, n->id);
	if (!plan_configs(c, n, name) || !plan_layers(c, n)) {
		forget(n);
		return;
	}
	n->job = job_create(c->vmms, "clone", vm, c->caller->name);
	call_job(c, n->job);
	if (!write_journal(n)) {
		forget(n);
		return;
	}
	job_allow_cancel(n->job, NULL, NULL);
	task_run(c->vmms->tasks, work, done, n);
}
