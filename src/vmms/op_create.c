// SPDX-License-Identifier: Apache-2.0
#include "op_create.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_error.h"
#include "config.h"
#include "disk_make.h"
#include "job.h"
#include "lib/check.h"
#include "new_id.h"
#include "path_check.h"
#include "paths.h"
#include "store.h"
#include "task.h"
#include "vmms.h"

/* A disk that is to be made. */
struct making {
	char *path; /* absolute, where it is made */
	uint64_t bytes;
	char *parent; /* absolute; NULL: none */
};

struct create {
	struct vmms *vmms;
	struct job *job;
	json_t *config;
	char id[GUID_TEXT_BYTES];
	/* For the thread. */
	char folder[VM_PATH_BYTES]; /* where the VM grows */
	struct making *disks;
	size_t disk_count;
	bool failed, cancelled;
	enum api_error code; /* when it failed */
	char error[1200];
};

static void forget(struct create *n)
{
	for (size_t i = 0; i < n->disk_count; i++) {
		free(n->disks[i].path);
		free(n->disks[i].parent);
	}
	free(n->disks);
	json_decref(n->config);
	free(n);
}

static char *absolute(const char *folder, const char *path)
{
	char *s;

	CHECK(asprintf(&s, "%s%s%s", path[0] == '/' ? "" : folder, path[0] == '/' ? "" : "/",
		       path) > 0);
	return s;
}

/* ---- What the body says about disks ---- */

/* Names that are not absolute lie in the VM's disks folder; one without a name is called by the VM's. */
static void settle_path(json_t *disk, size_t index)
{
	const json_t *value = json_object_get(disk, "path");
	const char *path = json_string_value(value);
	char text[64];

	if (value == NULL || (path != NULL && path[0] == '\0')) {
		snprintf(text, sizeof(text), "disks/disk%zu.%s", index,
			 json_object_get(disk, "parent") != NULL ? "avhdx" : "vhdx");
		json_object_set_new(disk, "path", json_string(text));
	} else if (path != NULL && path[0] != '/' && strncmp(path, "disks/", 6) != 0) {
		json_object_set_new(disk, "path", json_sprintf("disks/%s", path));
	}
}

static bool take_disk(struct call *c, struct create *n, json_t *disk, size_t index)
{
	json_t *bytes = json_object_get(disk, "create_bytes"),
	       *parent = json_object_get(disk, "parent");

	if (bytes == NULL && parent == NULL) {
		return true;
	}
	if ((bytes != NULL && (!json_is_integer(bytes) || json_integer_value(bytes) <= 0)) ||
	    (parent != NULL && (!json_is_string(parent) || json_string_value(parent)[0] != '/'))) {
		call_refuse(c, API_INVALID, NULL,
			    "disks[%zu]: expected create_bytes to be the size of a new disk, or "
			    "parent an absolute path",
			    index);
		return false;
	}
	if (!path_check(c, json_string_value(parent))) {
		return false;
	}
	settle_path(disk, index);
	const char *path = json_string_value(json_object_get(disk, "path"));

	n->disks[n->disk_count++] = (struct making){
		.path = absolute(n->folder, path == NULL ? "" : path),
		.bytes = (uint64_t)json_integer_value(bytes),
		.parent = parent == NULL ? NULL : absolute("", json_string_value(parent)),
	};
	json_object_del(disk, "create_bytes");
	json_object_del(disk, "parent");
	return true;
}

static bool take_disks(struct call *c, struct create *n, json_t *body)
{
	json_t *disks = json_object_get(body, "disks");
	size_t count = json_array_size(disks);

	if (count > CONFIG_DISKS_MAX) {
		call_refuse(c, API_INVALID, NULL, "disks: expected at most %u disks",
			    CONFIG_DISKS_MAX);
		return false;
	}
	n->disks = calloc(count + 1, sizeof(*n->disks));
	CHECK(n->disks != NULL);
	for (size_t i = 0; i < count; i++) {
		json_t *disk = json_array_get(disks, i);

		if (json_is_object(disk) && !take_disk(c, n, disk, i)) {
			return false;
		}
	}
	return true;
}

/* ---- Making ---- */

/* Also those disks that lie elsewhere: they are ours, and empty. */
static void unmake(struct create *n, size_t made)
{
	for (size_t i = 0; i < made; i++) {
		unlink(n->disks[i].path);
	}
	paths_remove_tree(n->folder);
}

static bool make_disk(struct create *n, size_t i)
{
	const struct making *d = &n->disks[i];
	struct disk_make_error why;

	job_progress(n->job, (unsigned)(i * 100 / n->disk_count), "making disks");
	if (disk_make(d->path, d->bytes, d->parent, n->job, &why)) {
		return true;
	}
	n->failed = true;
	n->cancelled = why.cancelled;
	n->code = why.code;
	snprintf(n->error, sizeof(n->error), "%s", why.text);
	return false;
}

static void work(void *ctx)
{
	struct create *n = ctx;
	char folder[VM_PATH_BYTES + 16];
	size_t made = 0;

	snprintf(folder, sizeof(folder), "%s/disks", n->folder);
	if (!paths_make(folder, 0700, n->error, sizeof(n->error))) {
		n->failed = true;
		n->code = api_error_of_errno(errno);
	}
	while (!n->failed && made < n->disk_count && make_disk(n, made)) {
		made++;
	}
	if (n->failed) {
		unmake(n, made);
	}
}

static enum api_error error_of(int result)
{
	return result == -EEXIST ? API_EXISTS : api_error_of_errno(-result);
}

static void done(void *ctx)
{
	struct create *n = ctx;
	struct json_file_error error;
	struct job *j = n->job;
	int r;

	if (n->failed) {
		if (n->cancelled) {
			job_cancelled(j);
		} else {
			job_fail(j, n->code, NULL, "the VM was not made: %s", n->error);
		}
		forget(n);
		return;
	}
	struct vm *vm = store_create(n->vmms, json_incref(n->config), &error, &r);

	if (vm == NULL) {
		unmake(n, n->disk_count);
		job_fail(j, error_of(r), NULL, "the VM was not made: %s", error.text);
	} else {
		job_complete(j, vm_details(vm));
	}
	forget(n);
}

static void create_now(struct call *c, struct create *n)
{
	struct json_file_error error;
	char location[64];
	int r;
	struct vm *vm = store_create(c->vmms, json_incref(n->config), &error, &r);

	if (vm == NULL) {
		call_refuse(c, error_of(r), NULL, "the VM was not made: %s", error.text);
	} else {
		snprintf(location, sizeof(location), "/vms/%s", vm->id);
		call_created(c, location, vm_details(vm));
	}
	forget(n);
}

void op_create(struct call *c)
{
	struct create *n = calloc(1, sizeof(*n));
	struct schema_error error;

	CHECK(n != NULL);
	n->vmms = c->vmms;
	new_id(n->id);
	snprintf(n->folder, sizeof(n->folder), "%s/vms/.new-%s", c->vmms->state, n->id);
	json_t *body = c->body == NULL ? json_object() : json_deep_copy(c->body);

	CHECK(body != NULL);
	bool ok = take_disks(c, n, body);

	n->config = ok ? vm_config_create(body, n->id, &error) : NULL;
	json_decref(body);
	if (ok && n->config == NULL) {
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
	}
	if (n->config == NULL || !path_check_all(c, NULL, n->config)) {
		forget(n);
		return;
	}
	if (n->disk_count == 0) {
		create_now(c, n);
		return;
	}
	n->job = job_create(c->vmms, "create", NULL, c->caller->name);
	job_allow_cancel(n->job, NULL, NULL);
	task_run(c->vmms->tasks, work, done, n);
	call_job(c, n->job);
}
