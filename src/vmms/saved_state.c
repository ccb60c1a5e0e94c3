// SPDX-License-Identifier: Apache-2.0
#include "saved_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "lib/check.h"
#include "store.h"

#define SAVED "saved.vmrs"
#define UNFINISHED "saved.vmrs.new"
#define RESTORING "restoring.vmrs"
#define RESTORE_FROM "restore_from"

static const char *checkpoint_state(const struct vm *vm)
{
	const char *path = json_string_value(json_object_get(vm->configuration, RESTORE_FROM));

	/* In the VM's folder, where checkpoints are. */
	return path != NULL && strncmp(path, "checkpoints/", 12) == 0 &&
			       strchr(path + 12, '/') == NULL
		       ? path
		       : NULL;
}

void saved_state_look(struct vm *vm)
{
	char path[VM_PATH_BYTES];

	vm->has_saved = saved_state_path(vm, path);
}

static bool is_there(const struct vm *vm, const char *name)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, name, path);
	return access(path, F_OK) == 0;
}

bool saved_state_path(const struct vm *vm, char ret[VM_PATH_BYTES])
{
	const char *other = checkpoint_state(vm);
	const char *name = is_there(vm, SAVED)	     ? SAVED
			   : is_there(vm, RESTORING) ? RESTORING
						     : other;

	if (name == NULL) {
		return false;
	}
	vm_path(vm, name, ret);
	return true;
}

int saved_state_create(const struct vm *vm)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, UNFINISHED, path);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

static int flush_folder(const struct vm *vm)
{
	char folder[VM_PATH_BYTES];

	vm_path(vm, "", folder);
	int r = folder_flush(folder);

	if (r < 0) {
		log_line("%s: %s", folder, strerror(-r));
	}
	return r;
}

static int rename_durably(const struct vm *vm, const char *from_name, const char *to_name)
{
	char from[VM_PATH_BYTES], to[VM_PATH_BYTES];

	vm_path(vm, from_name, from);
	vm_path(vm, to_name, to);
	if (rename(from, to) < 0) {
		int r = -errno;

		log_line("%s: %s", from, strerror(errno));
		return r;
	}
	return flush_folder(vm);
}

int saved_state_begin(struct vm *vm, char ret[VM_PATH_BYTES])
{
	int r = is_there(vm, SAVED) ? rename_durably(vm, SAVED, RESTORING) : 0;

	return r == 0 && !saved_state_path(vm, ret) ? -ENOENT : r;
}

bool saved_state_is_taken(const struct vm *vm)
{
	return is_there(vm, RESTORING);
}

void saved_state_settle(struct vm *vm, bool ran)
{
	if (ran && vm->has_saved) {
		saved_state_used(vm);
	} else if (is_there(vm, RESTORING)) {
		rename_durably(vm, RESTORING, SAVED);
	}
	saved_state_look(vm);
}

void saved_state_drop_unfinished(struct vm *vm)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, UNFINISHED, path);
	unlink(path);
}

static int forget_checkpoint_state(struct vm *vm)
{
	struct json_file_error error;
	json_t *c = json_deep_copy(vm->configuration);

	CHECK(c != NULL);
	json_object_del(c, RESTORE_FROM);
	int r = store_configure(vm, c, &error);

	if (r < 0) {
		log_line("%s", error.text);
	}
	return r;
}

static int remove_file(const struct vm *vm, const char *name)
{
	char path[VM_PATH_BYTES];

	vm_path(vm, name, path);
	if (unlink(path) == 0 || errno == ENOENT) {
		return 0;
	}
	int r = -errno;

	log_line("%s: %s", path, strerror(errno));
	return r;
}

void saved_state_complete(struct vm *vm)
{
	if (is_there(vm, UNFINISHED)) {
		rename_durably(vm, UNFINISHED, SAVED);
		remove_file(vm, RESTORING); /* the one before */
	} else if (!is_there(vm, SAVED) && is_there(vm, RESTORING)) {
		rename_durably(vm, RESTORING, SAVED);
	}
	saved_state_look(vm);
}

int saved_state_used(struct vm *vm)
{
	int r = remove_file(vm, SAVED), other = remove_file(vm, RESTORING);

	r = r == 0 ? other : r;
	flush_folder(vm);
	if (r == 0 && checkpoint_state(vm) != NULL) {
		r = forget_checkpoint_state(vm);
	}
	saved_state_look(vm);
	return r;
}
