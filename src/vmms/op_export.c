// SPDX-License-Identifier: Apache-2.0
/* Export: every file of every disk goes into one folder, and everything that names one of them is told so. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_error.h"
#include "checkpoint.h"
#include "disk_chain.h"
#include "job.h"
#include "json_file.h"
#include "lib/check.h"
#include "op_copy.h"
#include "path_check.h"
#include "paths.h"
#include "plan.h"
#include "task.h"
#include "tree_copy.h"
#include "vm.h"
#include "vmms.h"

#define PATH_BYTES 4096
#define DEPTH_MAX 32u /* of JSON, as its parser allows */

/* One file of a disk, and what it is called in the export. */
struct moved {
	char *from;	   /* absolute, without links */
	char *name;	   /* "disks/NAME" */
	char *parent_name; /* of the file below it; NULL: none */
};

struct export
{
	struct vm *vm;
	struct job *job;
	/* For the thread: all of it is its own. */
	char source[VM_PATH_BYTES];  /* the VM's folder */
	char target[PATH_BYTES];     /* appears when it is whole */
	char grown[PATH_BYTES + 64]; /* until then */
	json_t *config;
	json_t *checkpoints; /* {id: record} */
	struct moved *files;
	size_t count;
	struct tree_copy copy;
	bool ok;
};

static void forget(struct export *x)
{
	for (size_t i = 0; i < x->count; i++) {
		free(x->files[i].from);
		free(x->files[i].name);
		free(x->files[i].parent_name);
	}
	free(x->files);
	json_decref(x->config);
	json_decref(x->checkpoints);
	free(x);
}

static bool failed(struct export *x, const char *text)
{
	x->copy.result = -EIO;
	snprintf(x->copy.error, sizeof(x->copy.error), "%.1150s", text);
	return false;
}

/* ---- Which files ---- */

static struct moved *find_file(const struct export *x, const char *from)
{
	for (size_t i = 0; i < x->count; i++) {
		if (strcmp(x->files[i].from, from) == 0) {
			return &x->files[i];
		}
	}
	return NULL;
}

static bool is_taken(const struct export *x, const char *name)
{
	for (size_t i = 0; i < x->count; i++) {
		if (strcmp(x->files[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* Its own name, or one like it when files of the same name came from several folders. */
static char *free_name(const struct export *x, const char *from)
{
	const char *slash = strrchr(from, '/'), *base = slash == NULL ? from : slash + 1;
	char *name;

	CHECK(asprintf(&name, "disks/%s", base) > 0);
	for (unsigned i = 2; is_taken(x, name); i++) {
		free(name);
		CHECK(asprintf(&name, "disks/%u-%s", i, base) > 0);
	}
	return name;
}

static struct moved *add_file(struct export *x, const char *from)
{
	struct moved *files = realloc(x->files, (x->count + 1) * sizeof(*files));

	CHECK(files != NULL);
	x->files = files;
	files[x->count] = (struct moved){.from = strdup(from), .name = free_name(x, from)};
	CHECK(files[x->count].from != NULL);
	return &files[x->count++];
}

/* All files of the disk @path; those that other disks share are there once. */
static bool add_chain(struct export *x, const char *path, bool raw)
{
	struct disk_chain chain;
	char error[700];

	if (!disk_chain_find(path, raw, &chain, error, sizeof(error))) {
		return failed(x, error);
	}
	for (size_t i = chain.count; i-- > 0;) {
		if (find_file(x, chain.paths[i]) == NULL) {
			struct moved *m = add_file(x, chain.paths[i]);

			m->parent_name = i + 1 < chain.count
						 ? strdup(find_file(x, chain.paths[i + 1])->name)
						 : NULL;
			x->copy.total_bytes += tree_copy_file_bytes(m->from);
		}
	}
	disk_chain_fini(&chain);
	return true;
}

/* ---- What names them ---- */

/* The absolute path that one in a configuration means, without links; false: there is no such file. */
static bool resolve(const struct export *x, const char *path, char ret[PATH_BYTES])
{
	char joined[PATH_BYTES];
	int n = snprintf(joined, sizeof(joined), "%s%s%s", path[0] == '/' ? "" : x->source,
			 path[0] == '/' ? "" : "/", path);
	char *real = n < (int)sizeof(joined) ? realpath(joined, NULL) : NULL;
	bool ok = real != NULL && strlen(real) < PATH_BYTES;

	if (ok) {
		memcpy(ret, real, strlen(real) + 1);
	}
	free(real);
	return ok;
}

static bool add_disks(struct export *x, const json_t *config)
{
	const json_t *disks = json_object_get(config, "disks");
	bool ok = true;

	for (size_t i = 0; ok && i < json_array_size(disks); i++) {
		const json_t *d = json_array_get(disks, i);
		const char *path = json_string_value(json_object_get(d, "path"));
		char real[PATH_BYTES], text[PATH_BYTES + 100];

		if (path == NULL) {
			continue;
		}
		snprintf(text, sizeof(text), "disk %s: no such file", path);
		ok = resolve(x, path, real)
			     ? add_chain(x, real, json_is_true(json_object_get(d, "raw")))
			     : failed(x, text);
	}
	return ok;
}

/* Members "path" and "parent" that name one of the files; @depth: what was parsed has a bound. */
static void rename_paths(const struct export *x, json_t *value, unsigned depth)
{
	static const char *const members[] = {"path", "parent", "file"};
	char real[PATH_BYTES];

	for (size_t i = 0; i < json_array_size(value) && depth > 0; i++) {
		rename_paths(x, json_array_get(value, i), depth - 1);
	}
	for (size_t i = 0; i < 3 && json_is_object(value); i++) {
		const char *path = json_string_value(json_object_get(value, members[i]));
		const struct moved *m =
			path != NULL && resolve(x, path, real) ? find_file(x, real) : NULL;

		if (m != NULL) {
			json_object_set_new(value, members[i], json_string(m->name));
		}
	}
	for (void *i = json_object_iter(value); i != NULL && depth > 0;
	     i = json_object_iter_next(value, i)) {
		rename_paths(x, json_object_iter_value(i), depth - 1);
	}
}

/* ---- The thread ---- */

static bool collect(struct export *x)
{
	bool ok = add_disks(x, x->config);

	for (void *i = json_object_iter(x->checkpoints); ok && i != NULL;
	     i = json_object_iter_next(x->checkpoints, i)) {
		ok = add_disks(x, json_object_get(json_object_iter_value(i), "configuration"));
	}
	return ok;
}

static bool copy_disks(struct export *x)
{
	char to[PATH_BYTES + 128], parent[PATH_BYTES + 128], error[700];

	for (size_t i = 0; i < x->count; i++) {
		const struct moved *m = &x->files[i];

		snprintf(to, sizeof(to), "%s/%s", x->grown, m->name);
		if (!tree_copy_file(&x->copy, m->from, to)) {
			return false;
		}
	}
	/* When all are there: the parent is looked at. */
	for (size_t i = 0; i < x->count; i++) {
		const struct moved *m = &x->files[i];

		snprintf(to, sizeof(to), "%s/%s", x->grown, m->name);
		snprintf(parent, sizeof(parent), "%s/%s", x->grown,
			 m->parent_name == NULL ? "" : m->parent_name);
		if (m->parent_name != NULL &&
		    !disk_chain_reconnect(to, parent, error, sizeof(error))) {
			return failed(x, error);
		}
	}
	return true;
}

static bool save(struct export *x, const char *name, json_t *o)
{
	struct json_file_error error;
	char path[PATH_BYTES + 128];

	rename_paths(x, o, DEPTH_MAX);
	snprintf(path, sizeof(path), "%s/%s", x->grown, name);
	int r = json_file_save(path, o, true, &error);

	if (r < 0) {
		x->copy.result = r;
		snprintf(x->copy.error, sizeof(x->copy.error), "%.1100s", error.text);
	}
	return r == 0;
}

static bool copy_state(struct export *x, const char *name)
{
	char from[VM_PATH_BYTES + 128], to[PATH_BYTES + 192];

	snprintf(from, sizeof(from), "%s/%s", x->source, name);
	snprintf(to, sizeof(to), "%s/%s", x->grown, name);
	return access(from, F_OK) != 0 || tree_copy_file(&x->copy, from, to);
}

static bool copy_checkpoints(struct export *x)
{
	for (void *i = json_object_iter(x->checkpoints); i != NULL;
	     i = json_object_iter_next(x->checkpoints, i)) {
		char name[96];

		checkpoint_name(json_object_iter_key(i), "vmrs", name);
		if (!copy_state(x, name)) {
			return false;
		}
		checkpoint_name(json_object_iter_key(i), "json", name);
		if (!save(x, name, json_object_iter_value(i))) {
			return false;
		}
	}
	return true;
}

static bool make_folders(struct export *x)
{
	static const char *const names[] = {"", "/disks", "/checkpoints"};
	char path[PATH_BYTES + 128];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", x->grown, names[i]);
		if (mkdir(path, 0700) < 0) {
			x->copy.result = -errno;
			snprintf(x->copy.error, sizeof(x->copy.error), "%.1100s: %s", path,
				 strerror(errno));
			return false;
		}
	}
	return true;
}

/* Only now it has its name. */
static bool give_name(struct export *x)
{
	if (renameat2(AT_FDCWD, x->grown, AT_FDCWD, x->target, RENAME_NOREPLACE) == 0) {
		return true;
	}
	x->copy.result = -errno;
	snprintf(x->copy.error, sizeof(x->copy.error), "%.1100s: %s", x->target, strerror(errno));
	return false;
}

static void work(void *ctx)
{
	struct export *x = ctx;

	x->ok = collect(x) && make_folders(x) && copy_disks(x) && copy_state(x, "saved.vmrs") &&
		copy_checkpoints(x) && save(x, "vm.json", x->config) && give_name(x);
	if (!x->ok) {
		paths_remove_tree(x->grown);
	}
}

static void done(void *ctx)
{
	struct export *x = ctx;

	if (x->ok) {
		job_complete(x->job, json_pack("{s:s}", "path", x->target));
	} else if (x->copy.result == -ECANCELED) {
		job_cancelled(x->job);
	} else {
		job_fail(x->job,
			 x->copy.result == -EEXIST ? API_EXISTS
						   : api_error_of_errno(-x->copy.result),
			 NULL, "%s was not exported: %s", vm_name(x->vm), x->copy.error);
	}
	forget(x);
}

/* ---- The request ---- */

/* A folder name for the VM: its own, without what a folder cannot have. */
static bool choose_target(struct call *c, struct export *x, const char *path)
{
	char name[128];
	struct stat st;

	snprintf(name, sizeof(name), "%s", vm_name(x->vm));
	for (char *s = name; *s != '\0'; s++) {
		*s = *s == '/' ? '_' : *s;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		snprintf(name, sizeof(name), "%s", x->vm->id);
	}
	int n = snprintf(x->target, sizeof(x->target), "%s/%s", path, name);

	if (n < 0 || (size_t)n >= sizeof(x->target)) {
		call_refuse(c, API_INVALID, NULL, "path: too long");
		return false;
	}
	snprintf(x->grown, sizeof(x->grown), "%s/.%.36s.part", path, x->vm->id);
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

void op_export(struct call *c, struct vm *vm)
{
	const char *path = path_of_call(c);
	struct export *x = path == NULL ? NULL : calloc(1, sizeof(*x));

	if (path == NULL) {
		return;
	}
	CHECK(x != NULL);
	x->vm = vm;
	if (!choose_target(c, x, path)) {
		forget(x);
		return;
	}
	x->job = vm_op_begin(c, vm, VM_OP_COPY);
	if (x->job == NULL) {
		forget(x);
		return;
	}
	vm_path(vm, "", x->source);
	x->config = json_deep_copy(vm->configuration);
	x->checkpoints = json_deep_copy(checkpoints_of(vm));
	x->copy.job = x->job;
	paths_remove_tree(x->grown); /* of one that was interrupted: the job is the VM's only one */
	job_allow_cancel(x->job, NULL, NULL);
	task_run(c->vmms->tasks, work, done, x);
	call_job(c, x->job);
}
