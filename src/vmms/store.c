// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "events.h"
#include "host/log.h"
#include "lib/check.h"
#include "new_id.h"
#include "paths.h"
#include "saved_state.h"
#include "vmms.h"

#define COPY_S 600 /* what was touched within that time may still be copied */

/* ---- All of them ---- */

/* A folder that is a VM's: called by its id in our spelling, and with a configuration. */
static bool is_vm(const struct vmms *v, const char *name)
{
	char id[GUID_TEXT_BYTES], path[VM_PATH_BYTES];

	if (!normal_id(name, id) || strcmp(id, name) != 0) {
		return false;
	}
	snprintf(path, sizeof(path), "%s/vms/%s/vm.json", v->state, name);
	return access(path, F_OK) == 0;
}

static void clean_up(const struct vmms *v, const char *name)
{
	char path[VM_PATH_BYTES], removal[VM_PATH_BYTES + 16];
	int r = 0;

	snprintf(path, sizeof(path), "%s/vms/%s", v->state, name);
	snprintf(removal, sizeof(removal), "%s/removed.json", path);
	if (strncmp(name, ".new-", 5) == 0 || strncmp(name, ".removed-", 9) == 0) {
		r = paths_remove_tree(path);
	} else if (name[0] != '.' && access(removal, F_OK) == 0) {
		r = store_finish_removal(path);
	}
	if (r < 0) {
		log_line("%s: the rest of an interrupted operation cannot be removed: %s", path,
			 strerror(-r));
	}
}

static int scan(struct vmms *v, void (*entry)(struct vmms *v, const char *name))
{
	char path[VM_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/vms", v->state);
	DIR *d = opendir(path);

	if (d == NULL) {
		return -errno;
	}
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			entry(v, e->d_name);
		}
	}
	closedir(d);
	return 0;
}

static void take_at_start(struct vmms *v, const char *name)
{
	clean_up(v, name);
	if (is_vm(v, name)) {
		store_load(v, name);
	}
}

void store_settle_new(struct vm *vm)
{
	/* What it says about a worker was true elsewhere. */
	vm->worker.pid = 0;
	vm->wanted = false;
	saved_state_settle(vm, saved_state_is_taken(vm));
	vm->state = vm->has_saved ? VM_SAVED : VM_OFF;
	vm_record_write(vm, false);
}

static void take_new(struct vmms *v, const char *name)
{
	if (vm_find_id(v, name) == NULL && is_vm(v, name)) {
		struct vm *vm = store_load(v, name);

		store_settle_new(vm);
		events_publish(v, "vm.created", vm, NULL, NULL);
	}
}

/* One whose folder is gone, that has become readable meanwhile, or that was changed. */
static void look_again(struct vmms *v, struct vm *vm)
{
	bool there = is_vm(v, vm->id), unusable = vm->unusable;

	if (there && !unusable) {
		(void)store_look_at_edit(vm);
		return;
	}
	if (vm->job != NULL || vm_is_active(vm)) {
		return;
	}
	if (!there) {
		events_publish(v, "vm.removed", vm, NULL, NULL);
	}
	char id[GUID_TEXT_BYTES];

	memcpy(id, vm->id, sizeof(id));
	vm_remove(vm);
	if (there) {
		take_new(v, id);
	}
}

static bool is_fresh(const char *path, time_t seconds)
{
	struct stat st;

	return stat(path, &st) == 0 && time(NULL) - st.st_mtime < seconds;
}

/* A folder that has come without a configuration so far: a copy goes on. */
static void note_unfinished(struct vmms *v, const char *name)
{
	char id[GUID_TEXT_BYTES], path[VM_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/vms/%s", v->state, name);
	if (normal_id(name, id) && strcmp(id, name) == 0 && !is_vm(v, name) &&
	    is_fresh(path, COPY_S)) {
		v->unsettled = true;
	}
}

bool store_is_unsettled(struct vmms *v)
{
	char path[VM_PATH_BYTES];

	v->unsettled = false;
	scan(v, note_unfinished);
	for (size_t i = 0; i < v->vm_count; i++) {
		if (v->vms[i]->unusable) {
			vm_path(v->vms[i], "vm.json", path);
			v->unsettled = v->unsettled || is_fresh(path, COPY_S);
		} else {
			v->unsettled = v->unsettled || store_was_edited(v->vms[i]);
		}
	}
	return v->unsettled;
}

void store_rescan(struct vmms *v)
{
	for (size_t i = v->vm_count; i-- > 0;) {
		look_again(v, v->vms[i]);
	}
	int r = scan(v, take_new);

	if (r < 0) {
		log_line("%s/vms: %s", v->state, strerror(-r));
	}
}

/* ---- Opening ---- */

/* The runtime folder is gone after a boot, or from another one: then no worker of ours is left. */
static bool mark_boot(struct vmms *v, bool *ret_first, char *error, size_t size)
{
	struct json_file_error wrong;
	char path[VM_PATH_BYTES], text[VMMS_BOOT_ID_BYTES] = "";

	snprintf(path, sizeof(path), "%s/boot", v->runtime);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0) {
		close(fd);
	}
	*ret_first = n <= 0 || strcmp(text, v->boot_id) != 0;
	if (*ret_first &&
	    json_file_replace(path, v->boot_id, strlen(v->boot_id), 0600, false, &wrong) < 0) {
		snprintf(error, size, "%s", wrong.text);
		return false;
	}
	return true;
}

bool store_open(struct vmms *v, bool *ret_first, char *error, size_t size)
{
	char vms[VM_PATH_BYTES], run[VM_PATH_BYTES];

	snprintf(vms, sizeof(vms), "%s/vms", v->state);
	snprintf(run, sizeof(run), "%s/run", v->runtime);
	if (!paths_make(vms, 0700, error, size) || !paths_make(run, 0700, error, size) ||
	    !store_load_host(v, error, size) || !mark_boot(v, ret_first, error, size)) {
		return false;
	}
	int r = scan(v, take_at_start);

	if (r < 0) {
		snprintf(error, size, "%s: %s", vms, strerror(-r));
	}
	return r == 0;
}
