// SPDX-License-Identifier: Apache-2.0
/* Making, changing and removing VMs in the state folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "paths.h"
#include "store.h"
#include "vmms.h"

static int failed(struct json_file_error *error, const char *path, int why)
{
	snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(-why));
	return why;
}

/* ---- New ---- */

static const char *const folders[] = {"", "/disks", "/checkpoints"};

static int make_folders(const char *folder, struct json_file_error *error)
{
	char path[VM_PATH_BYTES + 80];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof(path), "%s%s", folder, folders[i]);
		if (mkdir(path, 0700) < 0 && errno != EEXIST) { /* disks were made in it already */
			return failed(error, path, -errno);
		}
	}
	return 0;
}

/* Under another name until it is whole. */
static int make_vm(const struct vmms *v, const char *id, const json_t *c,
		   struct json_file_error *error)
{
	char all[VM_PATH_BYTES], new_path[VM_PATH_BYTES + 64], path[VM_PATH_BYTES + 64],
		file[VM_PATH_BYTES + 80];

	snprintf(all, sizeof(all), "%s/vms", v->state);
	snprintf(new_path, sizeof(new_path), "%s/.new-%s", all, id);
	snprintf(path, sizeof(path), "%s/%s", all, id);
	snprintf(file, sizeof(file), "%s/vm.json", new_path);
	int r = make_folders(new_path, error);

	if (r == 0) {
		r = json_file_save(file, c, true, error);
	}
	if (r == 0 && rename(new_path, path) < 0) {
		r = failed(error, path, -errno);
	}
	if (r == 0) {
		r = folder_flush(all);
	} else {
		paths_remove_tree(new_path);
	}
	return r;
}

struct vm *store_create(struct vmms *v, json_t *c, struct json_file_error *error, int *ret_errno)
{
	const char *id = json_string_value(json_object_get(c, "id"));
	int r = make_vm(v, id, c, error);
	struct vm *vm = r == 0 ? vm_add(v, id) : NULL;

	if (vm == NULL) {
		*ret_errno = r == 0 ? -ENOMEM : r;
		json_decref(c);
		return NULL;
	}
	vm->configuration = c;
	store_stamp(vm);
	vm_record_write(vm, true);
	events_publish(v, "vm.created", vm, NULL, NULL);
	return vm;
}

/* ---- Changed ---- */

static bool look(const struct vm *vm, struct vm_stamp *ret)
{
	char path[VM_PATH_BYTES];
	struct stat st;

	vm_path(vm, "vm.json", path);
	if (stat(path, &st) < 0) {
		return false;
	}
	*ret = (struct vm_stamp){.known = true,
				 .device = st.st_dev,
				 .file = st.st_ino,
				 .bytes = (uint64_t)st.st_size,
				 .changed_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
					       (uint64_t)st.st_mtim.tv_nsec};
	return true;
}

void store_stamp(struct vm *vm)
{
	if (!look(vm, &vm->stamp)) {
		vm->stamp.known = false;
	}
}

bool store_was_edited(const struct vm *vm)
{
	struct vm_stamp now;

	return vm->stamp.known && look(vm, &now) &&
	       (now.device != vm->stamp.device || now.file != vm->stamp.file ||
		now.bytes != vm->stamp.bytes || now.changed_ns != vm->stamp.changed_ns);
}

/* What a person or a newer version wrote is not ours to throw away. */
static int refuse_edited(struct json_file_error *error, const char *path)
{
	snprintf(error->text, sizeof(error->text),
		 "%s was changed by somebody else; it is read again when the VM is off or saved, "
		 "and "
		 "nothing is changed until then",
		 path);
	return -ESTALE;
}

int store_configure(struct vm *vm, json_t *c, struct json_file_error *error)
{
	char path[VM_PATH_BYTES];

	json_object_set_new(c, "revision", json_integer(vm_revision(vm) + 1));
	vm_path(vm, "vm.json", path);
	int r = store_was_edited(vm) ? refuse_edited(error, path)
				     : json_file_save(path, c, true, error);

	if (r < 0) {
		json_decref(c);
		return r;
	}
	store_stamp(vm);
	json_decref(vm->configuration);
	vm->configuration = c;
	events_publish(vm->vmms, "vm.changed", vm, vm->job,
		       json_pack("{s:I}", "revision", vm_revision(vm)));
	return 0;
}

/* ---- Removed ---- */

int store_begin_removal(struct vm *vm, bool with_disks, struct json_file_error *error)
{
	char from[VM_PATH_BYTES], to[VM_PATH_BYTES + 64], all[VM_PATH_BYTES];

	snprintf(all, sizeof(all), "%s/vms", vm->vmms->state);
	if (with_disks) {
		/* The whole folder, at once. */
		vm_path(vm, "", from);
		snprintf(to, sizeof(to), "%s/.removed-%s", all, vm->id);
	} else {
		/* Without its configuration it is none any more; disks stay where they are, as others may lie upon them. */
		vm_path(vm, "vm.json", from);
		vm_path(vm, "", all);
		snprintf(to, sizeof(to), "%s/removed.json", all);
	}
	if (rename(from, to) < 0) {
		return failed(error, from, -errno);
	}
	int r = folder_flush(all);

	return r < 0 ? failed(error, all, r) : 0;
}

/* removed.json goes last: while it is there this can be done again. */
static int remove_all_but_disks(const char *folder)
{
	static const char *const names[] = {"state.json",     "state.json.new", "vm.json.new",
					    "operation.json", "saved.vmrs",	"saved.vmrs.new",
					    "restoring.vmrs", "checkpoints",	"removed.json"};
	char path[VM_PATH_BYTES + 64];
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(names) && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		r = paths_remove_tree(path);
	}
	/* Empty folders are of no use to anybody; what is not empty stays. */
	snprintf(path, sizeof(path), "%s/disks", folder);
	rmdir(path);
	rmdir(folder);
	return r;
}

int store_finish_removal(const char *folder)
{
	const char *slash = strrchr(folder, '/');
	char removed[VM_PATH_BYTES + 64];

	CHECK(slash != NULL);
	snprintf(removed, sizeof(removed), "%.*s/.removed-%s", (int)(slash - folder), folder,
		 slash + 1);
	int r = paths_remove_tree(removed);

	snprintf(removed, sizeof(removed), "%s/removed.json", folder);
	return r == 0 && access(removed, F_OK) == 0 ? remove_all_but_disks(folder) : r;
}
