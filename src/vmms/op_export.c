// SPDX-License-Identifier: Apache-2.0
/* Export: of a VM with its checkpoints, or of one checkpoint as a VM of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api_error.h"
#include "checkpoint.h"
#include "export_files.h"
#include "job.h"
#include "lib/check.h"
#include "new_id.h"
#include "op_copy.h"
#include "path_check.h"
#include "paths.h"
#include "task.h"
#include "vm_settle.h"
#include "vmms.h"

struct export
{
	struct vm *vm;
	struct job *job;
	char what[VM_REASON_BYTES]; /* for messages */
	struct export_files files;
	bool ok;
};

static void forget(struct export *x)
{
	export_files_fini(&x->files);
	free(x);
}

static void work(void *ctx)
{
	struct export *x = ctx;

	x->ok = export_files(&x->files);
}

static void done(void *ctx)
{
	struct export *x = ctx;
	const struct tree_copy *copy = &x->files.copy;

	x->vm->on_end = NULL;
	if (x->ok) {
		job_complete(x->job, json_pack("{s:s}", "path", x->files.target));
	} else if (copy->result == -ECANCELED) {
		job_cancelled(x->job);
	} else {
		job_fail(x->job,
			 copy->result == -EEXIST ? API_EXISTS : api_error_of_errno(-copy->result),
			 NULL, "%s was not exported: %s", x->what, copy->error);
	}
	forget(x);
}

/* ---- The request ---- */

/* A folder for it: @name without what a folder's cannot have, else @id. */
static bool choose_target(struct call *c, struct export_files *x, const char *path,
			  const char *name, const char *id)
{
	char folder[128];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", name);
	for (char *s = folder; *s != '\0'; s++) {
		*s = *s == '/' ? '_' : *s;
	}
	if (strcmp(folder, ".") == 0 || strcmp(folder, "..") == 0) {
		snprintf(folder, sizeof(folder), "%s", id);
	}
	int n = snprintf(x->target, sizeof(x->target), "%s/%s", path, folder);

	if (n < 0 || (size_t)n >= sizeof(x->target)) {
		call_refuse(c, API_INVALID, NULL, "path: too long");
		return false;
	}
	snprintf(x->grown, sizeof(x->grown), "%s/.%.36s.part", path, id);
	if (lstat(x->target, &st) == 0) {
		call_refuse(c, API_EXISTS, NULL,
			    "%s is there already; expected a folder without one of that name",
			    x->target);
		return false;
	}
	return true;
}

/* Where the service may write for this caller. */
static const char *path_of_call(struct call *c)
{
	const char *path = json_string_value(json_object_get(c->body, "path"));
	struct stat st;

	if (path == NULL || path[0] != '/' || stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		call_refuse(c, API_INVALID, NULL,
			    "path: %s; expected the absolute path of a folder that is there",
			    path == NULL ? "nothing" : path);
		return NULL;
	}
	return path_check(c, path) ? path : NULL;
}

static struct export *create(struct call *c, struct vm *vm, const char *path, const char *name,
			     const char *id)
{
	struct export *x = calloc(1, sizeof(*x));

	CHECK(x != NULL);
	x->vm = vm;
	if (!choose_target(c, &x->files, path, name, id)) {
		forget(x);
		return NULL;
	}
	vm_path(vm, "", x->files.source);
	return x;
}

/* All its disks come along: it stands on nobody's any more. */
static json_t *own_configuration(const json_t *configuration)
{
	json_t *c = json_deep_copy(configuration);

	CHECK(c != NULL);
	json_object_del(c, "cloned_from");
	return c;
}

static void run(struct vm *vm, struct export *x)
{
	x->files.copy.job = x->job;
	paths_remove_tree(
		x->files.grown); /* of one that was interrupted: the job is the VM's only one */
	job_allow_cancel(x->job, NULL, NULL);
	task_run(vm->vmms->tasks, work, done, x);
}

void op_export(struct call *c, struct vm *vm)
{
	const char *path = path_of_call(c);
	struct export *x = path == NULL ? NULL : create(c, vm, path, vm_name(vm), vm->id);

	if (x == NULL) {
		return;
	}
	x->job = vm_op_begin(c, vm, VM_OP_COPY);
	if (x->job == NULL) {
		forget(x);
		return;
	}
	snprintf(x->what, sizeof(x->what), "%s", vm_name(vm));
	snprintf(x->files.state, sizeof(x->files.state), "saved.vmrs");
	x->files.config = own_configuration(vm->configuration);
	x->files.checkpoints = json_deep_copy(checkpoints_of(vm));
	run(vm, x);
	call_job(c, x->job);
}

/* ---- Of a checkpoint ---- */

/* A VM of its own, of that time. */
static json_t *configuration_of(const struct vm *vm, const json_t *record)
{
	const json_t *present = json_object_get(vm->configuration, "checkpoints");
	const json_t *type = json_object_get(present, "type");
	json_t *c = own_configuration(json_object_get(record, "configuration"));
	char id[GUID_TEXT_BYTES];

	new_id(id);
	json_object_set_new(c, "id", json_string(id));
	json_object_set_new(c, "checkpoints", json_pack("{s:n}", "parent"));
	if (type != NULL) {
		json_object_set_new(json_object_get(c, "checkpoints"), "type",
				    json_deep_copy(type));
	}
	return c;
}

/* The files are frozen: it does not matter to them whether the machine runs, and ends. */
static void on_end(struct vm *vm, const struct vm_end *end)
{
	(void)vm;
	(void)end;
}

static void begin_settled(struct vm *vm, struct job *j)
{
	struct export *x = vm->op;

	(void)j;
	vm->op = NULL;
	vm->on_end = vm_is_active(vm) ? on_end : NULL;
	run(vm, x);
}

static void gone(struct vm *vm)
{
	struct export *x = vm->op;

	vm->op = NULL;
	forget(x);
}

static bool take_merged(struct call *c, bool *ret)
{
	const json_t *v = json_object_get(c->body, "disks");
	const char *text = v == NULL ? "merged" : json_string_value(v);

	if (text != NULL && (strcmp(text, "merged") == 0 || strcmp(text, "chain") == 0)) {
		*ret = strcmp(text, "merged") == 0;
		return true;
	}
	call_refuse(c, API_INVALID, NULL, "disks: expected \"merged\" or \"chain\"");
	return false;
}

void op_export_checkpoint(struct call *c, struct vm *vm, const json_t *record)
{
	const char *id = json_string_value(json_object_get(record, "id")),
		   *name = json_string_value(json_object_get(record, "name"));
	const char *path = path_of_call(c);
	struct export *x = path == NULL ? NULL : create(c, vm, path, name, id);

	if (x == NULL) {
		return;
	}
	if (!take_merged(c, &x->files.merged) ||
	    (x->job = vm_op_begin(c, vm, VM_OP_EXPORT_CHECKPOINT)) == NULL) {
		forget(x);
		return;
	}
	snprintf(x->what, sizeof(x->what), "checkpoint %.250s of %s", name, vm_name(vm));
	if (json_is_true(json_object_get(record, "with_memory"))) {
		checkpoint_name(id, ".vmrs", x->files.state);
	}
	x->files.config = configuration_of(vm, record);
	vm->op = x;
	struct job *j = x->job;

	vm_settle(vm, j, begin_settled, gone);
	call_job(c, j);
}
