// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "events.h"
#include "host/log.h"
#include "lib/check.h"
#include "new_id.h"
#include "paths.h"
#include "saved_state.h"
#include "vmms.h"

#define HOST_FORMAT 1u
#define RECORD_FORMAT 1u
#define COPY_S 600 /* what was touched within that time may still be copied */

/* ---- One VM ---- */

static void refuse(struct vm *vm, bool too_new, const char *reason)
{
	vm->unusable = vm->critical = true;
	vm->too_new = too_new;
	snprintf(vm->reason, sizeof(vm->reason), "%s", reason);
	log_line("%s: cannot be used: %s", vm_name(vm), reason);
}

/* Of a configuration that is wrong at least the name is good for showing. */
static json_t *name_of(json_t *c, const char *id)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	json_t *o = json_pack("{s:s, s:i}", "name", name == NULL ? id : name, "revision", 0);

	CHECK(o != NULL);
	json_decref(c);
	return o;
}

static bool check_identity(const struct vm *vm, const json_t *c, struct schema_error *error)
{
	char id[GUID_TEXT_BYTES];
	const json_t *value = json_object_get(c, "id");

	if (normal_id(json_string_value(value), id) && strcmp(id, vm->id) == 0) {
		return true;
	}
	return schema_refuse(error, "id", value, "the id that its folder is called by");
}

static void load_configuration(struct vm *vm)
{
	struct json_file_error error;
	struct schema_error wrong;
	char path[VM_PATH_BYTES], text[VM_REASON_BYTES];
	json_t *c = NULL;

	vm_path(vm, "vm.json", path);
	enum json_file_result r = json_file_load(path, VM_FORMAT, &c, &error);

	vm->configuration = c;
	if (r != JSON_FILE_OK) {
		struct json_file_error ignored;

		/* People know it by its name, whoever wrote the rest. */
		if (r == JSON_FILE_TOO_NEW) {
			json_file_load(path, UINT_MAX, &c, &ignored);
		}
		vm->configuration = name_of(c, vm->id);
		refuse(vm, r == JSON_FILE_TOO_NEW, error.text);
	} else if (!vm_config_check(c, &wrong) || !check_identity(vm, c, &wrong)) {
		snprintf(text, sizeof(text), "%.200s: %.590s", path, wrong.text);
		vm->configuration = name_of(c, vm->id);
		refuse(vm, false, text);
	}
}

static void load_record(struct vm *vm)
{
	struct json_file_error error;
	char path[VM_PATH_BYTES];
	json_t *record = NULL;

	vm_path(vm, "state.json", path);
	switch (json_file_load(path, RECORD_FORMAT, &record, &error)) {
	case JSON_FILE_OK:
		vm_record_take(vm, record);
		json_decref(record);
		break;
	case JSON_FILE_ABSENT: /* a folder that was copied in without it */
		break;
	case JSON_FILE_TOO_NEW:
		refuse(vm, true, error.text);
		break;
	case JSON_FILE_WRONG:
	case JSON_FILE_FAILED:
		/* It only says what went on: without it the VM is off, or saved. */
		log_line("%s: %s", vm_name(vm), error.text);
		break;
	}
}

static struct vm *load(struct vmms *v, const char *id)
{
	struct vm *vm = vm_add(v, id);

	CHECK(vm != NULL);
	store_sweep(vm);
	load_configuration(vm);
	load_record(vm);
	saved_state_look(vm);
	return vm;
}

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
		load(v, name);
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
		struct vm *vm = load(v, name);

		store_settle_new(vm);
		events_publish(v, "vm.created", vm, NULL, NULL);
	}
}

/* One whose folder is gone, or that has become readable meanwhile. */
static void look_again(struct vmms *v, struct vm *vm)
{
	if (vm->job != NULL || vm_is_active(vm)) {
		return;
	}
	bool there = is_vm(v, vm->id), unusable = vm->unusable;

	if (there && !unusable) {
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

/* ---- Settings of the host ---- */

static bool load_host(struct vmms *v, char *error, size_t size)
{
	struct json_file_error wrong;
	char path[VM_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/host.json", v->state);
	enum json_file_result r = json_file_load(path, HOST_FORMAT, &v->host, &wrong);

	if (r == JSON_FILE_ABSENT) {
		v->host = json_pack("{s:i}", "format", (int)HOST_FORMAT);
		CHECK(v->host != NULL);
		return true;
	}
	if (r != JSON_FILE_OK) {
		snprintf(error, size, "%s", wrong.text);
	}
	return r == JSON_FILE_OK;
}

const json_t *store_host(const struct vmms *v)
{
	return v->host;
}

int store_set_host(struct vmms *v, const json_t *patch, struct json_file_error *error)
{
	char path[VM_PATH_BYTES];
	json_t *host = json_deep_copy(v->host);

	CHECK(host != NULL);
	for (void *i = json_object_iter((json_t *)(uintptr_t)patch); i != NULL;
	     i = json_object_iter_next((json_t *)(uintptr_t)patch, i)) {
		if (json_is_null(json_object_iter_value(i))) {
			json_object_del(host, json_object_iter_key(i));
		} else {
			json_object_set_new(host, json_object_iter_key(i),
					    json_deep_copy(json_object_iter_value(i)));
		}
	}
	json_object_set_new(host, "format", json_integer(HOST_FORMAT));
	snprintf(path, sizeof(path), "%s/host.json", v->state);
	int r = json_file_save(path, host, true, error);

	if (r < 0) {
		json_decref(host);
		return r;
	}
	json_decref(v->host);
	v->host = host;
	return 0;
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
	    !load_host(v, error, size) || !mark_boot(v, ret_first, error, size)) {
		return false;
	}
	int r = scan(v, take_at_start);

	if (r < 0) {
		snprintf(error, size, "%s: %s", vms, strerror(-r));
	}
	return r == 0;
}
