// SPDX-License-Identifier: Apache-2.0
/* Import: of a copy of the folder, or of the folder where it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter_check.h"
#include "api_error.h"
#include "config.h"
#include "job.h"
#include "json_file.h"
#include "lib/check.h"
#include "new_id.h"
#include "op_copy.h"
#include "path_check.h"
#include "paths.h"
#include "store.h"
#include "task.h"
#include "tree_copy.h"
#include "vmms.h"

#define PATH_BYTES 4096

struct import {
	struct vmms *vmms;
	struct job *job;
	json_t *config;
	char id[GUID_TEXT_BYTES];
	char from[PATH_BYTES]; /* absolute, without links */
	char grown[VM_PATH_BYTES + 16], folder[VM_PATH_BYTES + 16];
	struct tree_copy copy;
	bool ok;
};

static void forget(struct import *m)
{
	json_decref(m->config);
	free(m);
}

/* ---- What is there ---- */

static bool read_config(struct call *c, struct import *m)
{
	struct json_file_error error;
	struct schema_error wrong;
	char path[PATH_BYTES + 16];

	snprintf(path, sizeof(path), "%s/vm.json", m->from);
	switch (json_file_load(path, VM_FORMAT, &m->config, &error)) {
	case JSON_FILE_OK:
		break;
	case JSON_FILE_ABSENT:
		call_refuse(c, API_NOT_FOUND, NULL,
			    "%s; expected the folder of a VM, as export makes it", error.text);
		return false;
	case JSON_FILE_TOO_NEW:
		call_refuse(c, API_TOO_NEW, NULL, "%s", error.text);
		return false;
	case JSON_FILE_WRONG:
	case JSON_FILE_FAILED:
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
		return false;
	}
	if (!vm_config_check(m->config, &wrong)) {
		call_refuse(c, API_INVALID, NULL, "%s: %s", path, wrong.text);
		return false;
	}
	return true;
}

/* Another VM on the same network gets other addresses; those that somebody chose stay. */
static void renew_addresses(json_t *config)
{
	json_t *adapters = json_object_get(config, "adapters");

	for (size_t i = 0; i < json_array_size(adapters); i++) {
		json_t *a = json_array_get(adapters, i);
		char mac[18];

		if (strncasecmp(json_string_value(json_object_get(a, "mac")), "00:15:5d:", 9) ==
		    0) {
			adapter_make_mac(mac);
			json_object_set_new(a, "mac", json_string(mac));
		}
	}
}

/* A saved state goes on only in the machine that it was made of, with its addresses. */
static bool has_saved_state(const struct import *m)
{
	char path[PATH_BYTES + 16];

	snprintf(path, sizeof(path), "%s/saved.vmrs", m->from);
	return access(path, F_OK) == 0 || json_object_get(m->config, "restore_from") != NULL;
}

static bool settle_id(struct call *c, struct import *m, bool renew)
{
	CHECK(normal_id(json_string_value(json_object_get(m->config, "id")),
			m->id)); /* it was checked */
	if (renew) {
		new_id(m->id);
	}
	if (renew && !has_saved_state(m)) {
		renew_addresses(m->config);
	}
	json_object_set_new(m->config, "id", json_string(m->id));
	snprintf(m->folder, sizeof(m->folder), "%s/vms/%s", m->vmms->state, m->id);
	snprintf(m->grown, sizeof(m->grown), "%s/vms/.new-%s", m->vmms->state, m->id);
	const struct vm *other = vm_find_id(m->vmms, m->id);

	if (other != NULL || access(m->folder, F_OK) == 0) {
		call_refuse(c, API_EXISTS, NULL,
			    "a VM with the id %s is there already%s%s; expected new_id to be true",
			    m->id, other == NULL ? "" : ": ", other == NULL ? "" : vm_name(other));
		return false;
	}
	return true;
}

static bool find_folder(struct call *c, struct import *m)
{
	const char *path = json_string_value(json_object_get(c->body, "path"));
	char *real = path == NULL || path[0] != '/' ? NULL : realpath(path, NULL);
	bool ok = real != NULL && strlen(real) < sizeof(m->from);

	if (ok) {
		memcpy(m->from, real, strlen(real) + 1);
	} else {
		call_refuse(c, API_INVALID, NULL,
			    "path: %s; expected the absolute path of a VM's folder",
			    path == NULL ? "nothing" : path);
	}
	free(real);
	return ok && path_check(c, m->from);
}

/* ---- Copying ---- */

static void work(void *ctx)
{
	struct import *m = ctx;

	m->copy.total_bytes = tree_copy_bytes(m->from);
	m->ok = mkdir(m->grown, 0700) == 0;
	if (!m->ok) {
		m->copy.result = -errno;
		snprintf(m->copy.error, sizeof(m->copy.error), "%.1100s: %s", m->grown,
			 strerror(errno));
		return;
	}
	m->ok = tree_copy_vm(&m->copy, m->from, m->grown);
	if (!m->ok) {
		paths_remove_tree(m->grown);
	}
}

static void fail(struct import *m, int r, const char *text)
{
	job_fail(m->job, r == -EEXIST ? API_EXISTS : api_error_of_errno(-r), NULL,
		 "the VM was not imported: %s", text);
}

static void done(void *ctx)
{
	struct import *m = ctx;
	struct json_file_error error;
	int r;

	if (!m->ok && m->copy.result == -ECANCELED) {
		job_cancelled(m->job);
	} else if (!m->ok) {
		fail(m, m->copy.result, m->copy.error);
	} else {
		struct vm *vm = store_create(m->vmms, json_incref(m->config), &error, &r);

		if (vm == NULL) {
			paths_remove_tree(m->grown);
			fail(m, r, error.text);
		} else {
			store_settle_new(vm);
			job_complete(m->job, vm_details(vm));
		}
	}
	forget(m);
}

static void begin_copy(struct call *c, struct import *m)
{
	json_object_set_new(m->config, "revision", json_integer(1));
	m->job = job_create(m->vmms, "import", NULL, c->caller->name);
	m->copy.job = m->job;
	job_allow_cancel(m->job, NULL, NULL);
	task_run(m->vmms->tasks, work, done, m);
	call_job(c, m->job);
}

/* ---- In place ---- */

static void register_folder(struct call *c, struct import *m)
{
	char location[64];

	if (symlink(m->from, m->folder) < 0) {
		call_refuse(c, api_error_of_errno(errno), NULL, "%s: %s", m->folder,
			    strerror(errno));
		forget(m);
		return;
	}
	store_rescan(m->vmms);
	struct vm *vm = vm_find_id(m->vmms, m->id);

	if (vm == NULL) {
		unlink(m->folder);
		call_refuse(c, API_FAILED, NULL, "%s cannot be read as a VM", m->from);
	} else {
		snprintf(location, sizeof(location), "/vms/%s", vm->id);
		call_created(c, location, vm_details(vm));
	}
	forget(m);
}

void op_import(struct call *c)
{
	const char *mode = json_string_value(json_object_get(c->body, "mode"));
	bool in_place = mode != NULL && strcmp(mode, "register") == 0;
	bool renew = json_is_true(json_object_get(c->body, "new_id"));
	struct import *m;

	if (mode != NULL && !in_place && strcmp(mode, "copy") != 0) {
		call_refuse(c, API_INVALID, NULL, "mode: %s; expected \"copy\" or \"register\"",
			    mode);
		return;
	}
	if (in_place && renew) {
		call_refuse(
			c, API_INVALID, NULL,
			"new_id: a VM that is registered in place keeps its id; expected \"copy\"");
		return;
	}
	m = calloc(1, sizeof(*m));
	CHECK(m != NULL);
	m->vmms = c->vmms;
	if (!find_folder(c, m) || !read_config(c, m) || !settle_id(c, m, renew) ||
	    !path_check_all(c, NULL, m->config)) {
		forget(m);
	} else if (in_place) {
		register_folder(c, m);
	} else {
		begin_copy(c, m);
	}
}
