// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_look.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "checkpoint_files.h"
#include "host/log.h"
#include "lib/check.h"
#include "plan.h"
#include "store.h"
#include "task.h"
#include "vhd/vhd.h"
#include "vm_settle.h"
#include "vmms.h"

#define VERIFY "verify"
#define NONE ((size_t)-1)

struct look {
	struct vm *vm;
	void (*then)(void *ctx);
	void *ctx;
	size_t count;
	char **paths;	  /* absolute */
	size_t *parents;  /* out: place of each one's parent in the list, or NONE */
	bool *had_parent; /* one of the list, as it says now */
	char **told; /* the parent of a file that a worker writes, as that says; "": none, NULL: it is not written */
	bool *known; /* out: the file could be asked */
	bool failed;
};

static json_t *checkpoints_part(const json_t *configuration)
{
	return json_object_get(configuration, "checkpoints");
}

bool checkpoint_look_wanted(const struct vm *vm)
{
	return json_is_true(json_object_get(checkpoints_part(vm->configuration), VERIFY));
}

static void configure(struct vm *vm, json_t *c)
{
	struct json_file_error error;

	if (store_configure(vm, c, &error) < 0) {
		log_line("%s: %s", vm_name(vm), error.text);
	}
}

void checkpoint_look_want(struct vm *vm)
{
	json_t *c = json_deep_copy(vm->configuration);

	CHECK(c != NULL);
	(void)checkpoint_files(c);
	json_object_set_new(checkpoints_part(c), VERIFY, json_true());
	configure(vm, c);
}

/* ---- On a thread ---- */

/* Behind the last separator, of Linux or of the other one: as a file records its parent. */
static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *backslash = strrchr(path, '\\');
	const char *last = slash > backslash || backslash == NULL ? slash : backslash;

	return last == NULL ? path : last + 1;
}

/* The file of that name; names have GUIDs in them, but for the first of each disk. */
static size_t place_of(const struct look *l, const char *path)
{
	size_t found = NONE;

	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(name_of(path), name_of(l->paths[i])) == 0) {
			if (found != NONE) {
				return NONE;
			}
			found = i;
		}
	}
	return found;
}

/* A parent that is none of ours is believed only of a file that had none of ours before: else nothing is known, and nothing is touched. */
static void believe(struct look *l, size_t i, const char *parent)
{
	l->parents[i] = parent != NULL ? place_of(l, parent) : NONE;
	l->known[i] = l->parents[i] != NONE || !l->had_parent[i];
}

static void look_at(struct look *l, const struct vhd_host *host, size_t i, struct vhd_info *info)
{
	struct vhd_error error = {{0}};
	struct vhd_disk *d;

	l->parents[i] = NONE;
	if (l->told[i] != NULL) {
		believe(l, i, l->told[i][0] == '\0' ? NULL : l->told[i]);
	} else {
		int r = vhd_open(host, l->paths[i], VHD_OPEN_NO_PARENT, &d, &error);

		l->known[i] = r == VHD_MERGED;
		if (r == 0) {
			vhd_get_info(d, info);
			believe(l, i, info->has_parent ? info->parent_path : NULL);
			vhd_close(d);
		}
	}
	l->failed |= !l->known[i];
}

static void work(void *ctx)
{
	struct look *l = ctx;
	struct vhd_info *info = malloc(sizeof(*info));
	struct backend *backend;
	struct vhd_host host;

	CHECK(info != NULL);
	if (backend_create(16, &backend) < 0) {
		l->failed = true;
		free(info);
		return;
	}
	backend_vhd_host(backend, &host);
	for (size_t i = 0; i < l->count; i++) {
		look_at(l, &host, i, info);
	}
	backend_destroy(backend);
	free(info);
}

/* ---- Back on the loop ---- */

static void record(struct look *l)
{
	json_t *c = json_deep_copy(l->vm->configuration);

	CHECK(c != NULL);
	json_t *files = checkpoint_files(c);

	for (size_t i = 0; i < l->count && i < json_array_size(files); i++) {
		json_t *parent = l->parents[i] == NONE
					 ? json_null()
					 : json_string(checkpoint_files_path(l->vm, l->parents[i]));

		if (l->known[i]) {
			json_object_set_new(json_array_get(files, i), "parent", parent);
		} else {
			json_decref(parent);
		}
	}
	if (!l->failed) {
		json_object_del(checkpoints_part(c), VERIFY);
	}
	configure(l->vm, c);
}

static void done(void *ctx)
{
	struct look *l = ctx;
	void (*then)(void *) = l->then;
	void *then_ctx = l->ctx;

	record(l);
	for (size_t i = 0; i < l->count; i++) {
		free(l->paths[i]);
		free(l->told[i]);
	}
	free(l->told);
	free(l->paths);
	free(l->parents);
	free(l->known);
	free(l->had_parent);
	free(l);
	then(then_ctx);
}

/* ---- The beginning ---- */

/* Lines "disk=PLACE:PATH" and "parent=PLACE:PATH", the place without a colon at its end. NULL: no line of that place. malloced. */
static char *line_of(const char *answer, const char *key, const char *place, size_t place_bytes)
{
	size_t n = strlen(key);

	for (const char *line = answer; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0 && line[n] == '=' &&
		    strncmp(line + n + 1, place, place_bytes) == 0 &&
		    line[n + 1 + place_bytes] == ':') {
			const char *path = line + n + 1 + place_bytes + 1;

			return strndup(path, strcspn(path, "\n"));
		}
	}
	return NULL;
}

/* What the worker says of the file @path: NULL: it does not write that. malloced. */
static char *told_of(const char *answer, const char *path)
{
	const char *place;
	size_t bytes;

	if (!vm_info_writes(answer, path, &place, &bytes)) {
		return NULL;
	}
	char *told = line_of(answer, "parent", place, bytes);

	return told != NULL ? told : strdup("");
}

void checkpoint_look(struct vm *vm, void (*then)(void *ctx), void *ctx)
{
	struct look *l = calloc(1, sizeof(*l));
	size_t count =
		json_array_size(json_object_get(checkpoints_part(vm->configuration), "files"));

	CHECK(l != NULL);
	*l = (struct look){.vm = vm, .then = then, .ctx = ctx, .count = count};
	l->paths = calloc(count + 1, sizeof(*l->paths));
	l->parents = calloc(count + 1, sizeof(*l->parents));
	l->known = calloc(count + 1, sizeof(*l->known));
	l->had_parent = calloc(count + 1, sizeof(*l->had_parent));
	l->told = calloc(count + 1, sizeof(*l->told));
	CHECK(l->had_parent != NULL && l->told != NULL);
	CHECK(l->paths != NULL && l->parents != NULL && l->known != NULL);
	for (size_t i = 0; i < count; i++) {
		l->paths[i] = plan_path(vm, checkpoint_files_path(vm, i));
		l->had_parent[i] = checkpoint_files_parent(vm->configuration,
							   checkpoint_files_path(vm, i)) != NULL;
		l->told[i] = vm->info == NULL ? NULL : told_of(vm->info, l->paths[i]);
	}
	task_run(vm->vmms->tasks, work, done, l);
}
