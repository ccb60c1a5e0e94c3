// SPDX-License-Identifier: Apache-2.0
#include "op_remove.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "api_error.h"
#include "events.h"
#include "job.h"
#include "lib/check.h"
#include "op_checkpoint.h"
#include "paths.h"
#include "policy.h"
#include "roles.h"
#include "store.h"
#include "task.h"
#include "vmms.h"

struct removal {
	struct job *job;
	json_t *kept;
	char folder[VM_PATH_BYTES];
	int result;
};

/* Disks in its folder stay, unless somebody says otherwise; their names are the answer. */
static json_t *kept_disks(const struct vm *vm, bool with_disks)
{
	const json_t *list = json_object_get(vm->configuration, "disks");
	json_t *kept = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path =
			json_string_value(json_object_get(json_array_get(list, i), "path"));
		char folder[VM_PATH_BYTES];

		if (path != NULL && path[0] == '/') {
			json_array_append_new(kept, json_string(path));
		} else if (path != NULL && !with_disks) {
			vm_path(vm, "", folder);
			json_array_append_new(kept, json_sprintf("%s/%s", folder, path));
		}
	}
	return kept;
}

static void work(void *ctx)
{
	struct removal *r = ctx;

	r->result = store_finish_removal(r->folder);
}

static void done(void *ctx)
{
	struct removal *r = ctx;

	if (r->result < 0) {
		job_fail(r->job, api_error_of_errno(-r->result), NULL,
			 "the VM is removed, but files of it are left in %s: %s; they are removed "
			 "when the service starts again",
			 r->folder, strerror(-r->result));
		json_decref(r->kept);
	} else {
		job_complete(r->job, json_pack("{s:o}", "kept", r->kept));
	}
	free(r);
}

/* A VM that was registered in place is only forgotten. */
static bool is_link(const char *folder)
{
	struct stat st;

	return lstat(folder, &st) == 0 && S_ISLNK(st.st_mode);
}

static int begin(struct vm *vm, const char *folder, bool with_disks, struct json_file_error *error)
{
	if (!is_link(folder)) {
		return store_begin_removal(vm, with_disks, error);
	}
	if (unlink(folder) == 0) {
		return 0;
	}
	snprintf(error->text, sizeof(error->text), "%s: %s", folder, strerror(errno));
	return -errno;
}

static bool disks_are_free(struct call *c, const struct vm *vm)
{
	const struct vm *other = vm_clone_of(vm);

	if (other != NULL) {
		call_refuse(c, API_WRONG_STATE, json_pack("{s:s}", "clone", other->id),
			    "the disks of %s are below those of its clone %s; remove that first, "
			    "or keep the disks",
			    vm_name(vm), vm_name(other));
	}
	return other == NULL;
}

/* What was kept for a clone may be kept no longer. */
static void tidy_originals(struct vmms *v, const json_t *from)
{
	for (size_t i = 0; i < json_array_size(from); i++) {
		const char *id = json_string_value(json_array_get(from, i));
		struct vm *original = id == NULL ? NULL : vm_find_id(v, id);

		if (original != NULL) {
			op_tidy_later(original);
		}
	}
}

void op_remove(struct call *c, struct vm *vm, bool with_disks)
{
	if (with_disks && !disks_are_free(c, vm)) {
		return;
	}
	struct removal *r = calloc(1, sizeof(*r));
	struct json_file_error error;
	char run[VM_PATH_BYTES], id[GUID_TEXT_BYTES];

	CHECK(r != NULL);
	vm_path(vm, "", r->folder);
	vm_run_path(vm, "", run);
	memcpy(id, vm->id, sizeof(id));
	r->kept = kept_disks(vm, with_disks);
	int result = begin(vm, r->folder, with_disks, &error);

	if (result < 0) {
		json_decref(r->kept);
		free(r);
		call_refuse(c, api_error_of_errno(-result), NULL, "%s is not removed: %s",
			    vm_name(vm), error.text);
		return;
	}
	r->job = job_create_beside("remove", vm, c->caller->name);
	policy_forget_recovery(vm);
	events_publish(c->vmms, "vm.removed", vm, r->job, NULL);
	json_t *from = json_incref(json_object_get(vm->configuration, "cloned_from"));

	vm_remove(vm);
	tidy_originals(c->vmms, from);
	json_decref(from);
	paths_remove_tree(run);
	roles_forget_vm(api_roles(call_api(c)), id);
	task_run(c->vmms->tasks, work, done, r);
	call_job(c, r->job);
}
