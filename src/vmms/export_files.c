// SPDX-License-Identifier: Apache-2.0
/* Every file of every disk goes into one folder, and everything that names one of them is told so. */
#include "export_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_files.h"
#include "disk_chain.h"
#include "disk_make.h"
#include "json_file.h"
#include "lib/check.h"
#include "paths.h"

#define DEPTH_MAX 32u /* of JSON, as its parser allows */

/* One file of a disk, and what it is called in the export. */
struct moved {
	char *from;	   /* absolute, without links */
	char *name;	   /* "disks/NAME" */
	char *parent_name; /* of the file below it; NULL: none */
	bool merged;	   /* a new file with all that it and those below it show */
};

void export_files_fini(struct export_files *x)
{
	for (size_t i = 0; i < x->count; i++) {
		free(x->files[i].from);
		free(x->files[i].name);
		free(x->files[i].parent_name);
	}
	free(x->files);
	json_decref(x->config);
	json_decref(x->checkpoints);
}

static bool failed(struct export_files *x, const char *text)
{
	x->copy.result = -EIO;
	snprintf(x->copy.error, sizeof(x->copy.error), "%.1150s", text);
	return false;
}

/* ---- Which files ---- */

static struct moved *find_file(const struct export_files *x, const char *from)
{
	for (size_t i = 0; i < x->count; i++) {
		if (strcmp(x->files[i].from, from) == 0) {
			return &x->files[i];
		}
	}
	return NULL;
}

static bool is_taken(const struct export_files *x, const char *name)
{
	for (size_t i = 0; i < x->count; i++) {
		if (strcmp(x->files[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* Its own name, or one like it when files of the same name came from several folders. */
static char *free_name(const struct export_files *x, const char *from)
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

/* @name is taken over. */
static struct moved *add_file(struct export_files *x, const char *from, char *name)
{
	struct moved *files = realloc(x->files, (x->count + 1) * sizeof(*files));

	CHECK(files != NULL);
	x->files = files;
	files[x->count] = (struct moved){.from = strdup(from), .name = name};
	CHECK(files[x->count].from != NULL);
	return &files[x->count++];
}

/* All files of the disk @path; those that other disks share are there once. */
static bool add_chain(struct export_files *x, const char *path, bool raw)
{
	struct disk_chain chain;
	char error[700];

	if (!disk_chain_find(path, raw, &chain, error, sizeof(error))) {
		return failed(x, error);
	}
	bool merged = x->merged && chain.count > 1;

	for (size_t i = merged ? 0 : chain.count; i-- > 0;) {
		if (find_file(x, chain.paths[i]) == NULL) {
			struct moved *m = add_file(x, chain.paths[i], free_name(x, chain.paths[i]));

			m->parent_name = i + 1 < chain.count
						 ? strdup(find_file(x, chain.paths[i + 1])->name)
						 : NULL;
			x->copy.total_bytes += tree_copy_file_bytes(m->from);
		}
	}
	if (merged && find_file(x, path) == NULL) {
		char *plain = checkpoint_plain_name(path);

		add_file(x, path, free_name(x, plain))->merged = true;
		free(plain);
	}
	disk_chain_fini(&chain);
	return true;
}

/* ---- What names them ---- */

/* The absolute path that one in a configuration means, without links; false: there is no such file. */
static bool resolve(const struct export_files *x, const char *path, char ret[EXPORT_PATH_BYTES])
{
	char joined[EXPORT_PATH_BYTES];
	int n = snprintf(joined, sizeof(joined), "%s%s%s", path[0] == '/' ? "" : x->source,
			 path[0] == '/' ? "" : "/", path);
	char *real = n < (int)sizeof(joined) ? realpath(joined, NULL) : NULL;
	bool ok = real != NULL && strlen(real) < EXPORT_PATH_BYTES;

	if (ok) {
		memcpy(ret, real, strlen(real) + 1);
	}
	free(real);
	return ok;
}

static bool add_disks(struct export_files *x, const json_t *config)
{
	const json_t *disks = json_object_get(config, "disks");
	bool ok = true;

	for (size_t i = 0; ok && i < json_array_size(disks); i++) {
		const json_t *d = json_array_get(disks, i);
		const char *path = json_string_value(json_object_get(d, "path"));
		char real[EXPORT_PATH_BYTES], text[EXPORT_PATH_BYTES + 100];

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
static void rename_paths(const struct export_files *x, json_t *value, unsigned depth)
{
	static const char *const members[] = {"path", "parent", "file"};
	char real[EXPORT_PATH_BYTES];

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

static bool collect(struct export_files *x)
{
	bool ok = add_disks(x, x->config);

	for (void *i = json_object_iter(x->checkpoints); ok && i != NULL;
	     i = json_object_iter_next(x->checkpoints, i)) {
		ok = add_disks(x, json_object_get(json_object_iter_value(i), "configuration"));
	}
	return ok;
}

/* All that the chain of @m shows, as a disk of the same kind. */
static bool merge_disk(struct export_files *x, const struct moved *m, const char *to)
{
	struct disk_make_error error;

	if (disk_flatten(to, m->from, x->copy.job, &error)) {
		return true;
	}
	failed(x, error.text);
	if (error.cancelled) {
		x->copy.result = -ECANCELED;
	}
	return false;
}

static bool copy_disks(struct export_files *x)
{
	char to[EXPORT_PATH_BYTES + 128], parent[EXPORT_PATH_BYTES + 128], error[700];

	for (size_t i = 0; i < x->count; i++) {
		const struct moved *m = &x->files[i];

		snprintf(to, sizeof(to), "%s/%s", x->grown, m->name);
		if (!(m->merged ? merge_disk(x, m, to) : tree_copy_file(&x->copy, m->from, to))) {
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

static bool save(struct export_files *x, const char *name, json_t *o)
{
	struct json_file_error error;
	char path[EXPORT_PATH_BYTES + 128];

	rename_paths(x, o, DEPTH_MAX);
	snprintf(path, sizeof(path), "%s/%s", x->grown, name);
	int r = json_file_save(path, o, true, &error);

	if (r < 0) {
		x->copy.result = r;
		snprintf(x->copy.error, sizeof(x->copy.error), "%.1100s", error.text);
	}
	return r == 0;
}

static bool copy_state(struct export_files *x, const char *name, const char *to_name)
{
	char from[VM_PATH_BYTES + 128], to[EXPORT_PATH_BYTES + 192];

	snprintf(from, sizeof(from), "%s/%s", x->source, name);
	snprintf(to, sizeof(to), "%s/%s", x->grown, to_name);
	return name[0] == '\0' || access(from, F_OK) != 0 || tree_copy_file(&x->copy, from, to);
}

static bool copy_checkpoints(struct export_files *x)
{
	for (void *i = json_object_iter(x->checkpoints); i != NULL;
	     i = json_object_iter_next(x->checkpoints, i)) {
		char name[96];

		checkpoint_name(json_object_iter_key(i), ".vmrs", name);
		if (!copy_state(x, name, name)) {
			return false;
		}
		checkpoint_name(json_object_iter_key(i), ".json", name);
		if (!save(x, name, json_object_iter_value(i))) {
			return false;
		}
	}
	return true;
}

static bool make_folders(struct export_files *x)
{
	static const char *const names[] = {"", "/disks", "/checkpoints"};
	char path[EXPORT_PATH_BYTES + 128];

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
static bool give_name(struct export_files *x)
{
	if (renameat2(AT_FDCWD, x->grown, AT_FDCWD, x->target, RENAME_NOREPLACE) == 0) {
		return true;
	}
	x->copy.result = -errno;
	snprintf(x->copy.error, sizeof(x->copy.error), "%.1100s: %s", x->target, strerror(errno));
	return false;
}

bool export_files(struct export_files *x)
{
	bool ok = collect(x) && make_folders(x) && copy_disks(x) &&
		  copy_state(x, x->state, "saved.vmrs") && copy_checkpoints(x) &&
		  save(x, "vm.json", x->config) && give_name(x);

	if (!ok) {
		paths_remove_tree(x->grown);
	}
	return ok;
}
