// SPDX-License-Identifier: Apache-2.0
#include "tidy_chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_disks.h"
#include "checkpoint_files.h"
#include "lib/check.h"
#include "plan.h"
#include "store.h"

/* ---- Records ---- */

/* Checkpoints that name @from name @to. 0 or -errno. */
static int rename_in_checkpoints(struct vm *vm, const char *from, const char *to,
				 struct json_file_error *error)
{
	json_t *all = json_copy(checkpoints_of(vm)); /* writing changes the one that is kept */
	int r = 0;

	CHECK(all != NULL);
	for (void *i = json_object_iter(all); i != NULL && r == 0;
	     i = json_object_iter_next(all, i)) {
		const json_t *record = json_object_iter_value(i);

		if (checkpoint_disks_use(json_object_get(record, "configuration"), from)) {
			json_t *changed = json_deep_copy(record);

			CHECK(changed != NULL);
			checkpoint_disks_rename(json_object_get(changed, "configuration"), from,
						to);
			r = checkpoint_write(vm, changed, error);
		}
	}
	json_decref(all);
	return r;
}

int tidy_record_merge(struct vm *vm, const struct disk_tree_file *files,
		      const struct disk_tree_step *step, struct json_file_error *error)
{
	char *base = strdup(checkpoint_files_path(vm, step->file)),
	     *last = strdup(checkpoint_files_path(vm, step->last));

	CHECK(base != NULL && last != NULL);
	int r = rename_in_checkpoints(vm, last, base, error);

	if (r == 0) {
		json_t *c = json_deep_copy(vm->configuration);

		CHECK(c != NULL);
		checkpoint_disks_rename(c, last, base);
		checkpoint_files_reparent(c, last, base);
		for (size_t at = step->last; at != step->file; at = files[at].parent) {
			json_object_set_new(json_array_get(checkpoint_files(c), at), "parent",
					    json_null());
		}
		r = store_configure(vm, c, error);
	}
	free(base);
	free(last);
	return r;
}

int tidy_drop_file(struct vm *vm, const char *path, struct json_file_error *error)
{
	char *absolute = plan_path(vm, path);
	int r = 0;

	if (unlink(absolute) < 0 && errno != ENOENT) {
		r = -errno;
		snprintf(error->text, sizeof(error->text), "%s: %s", absolute, strerror(-r));
	} else {
		json_t *c = json_deep_copy(vm->configuration);

		CHECK(c != NULL);
		checkpoint_files_drop(c, path);
		r = store_configure(vm, c, error);
	}
	free(absolute);
	return r;
}

/* ---- Open chains ---- */

/* The file of @disk in the list; the count when it has none. */
static size_t top_of(const struct tidy_tree *t, const json_t *disk)
{
	const char *path = json_string_value(json_object_get(disk, "path"));
	size_t i = 0;

	while (i < t->count &&
	       (path == NULL || strcmp(checkpoint_files_path(t->vm, i), path) != 0)) {
		i++;
	}
	return i;
}

/* Fills in the chain from @top down to the base; false: the last file is not in it. */
static bool find_chain(const struct tidy_tree *t, size_t top, struct checkpoint_live *l,
		       size_t *ret_above)
{
	bool found = false;

	l->chain = calloc(t->count + 1, sizeof(*l->chain));
	CHECK(l->chain != NULL);
	for (size_t at = top; at != DISK_TREE_NONE; at = t->files[at].parent) {
		if (at == t->step->last) {
			l->depth = (unsigned)l->chain_count;
			l->count = (unsigned)t->step->count;
			found = true;
		}
		*ret_above = found ? *ret_above : at;
		l->chain[l->chain_count] = strdup(checkpoint_files_path(t->vm, at));
		CHECK(l->chain[l->chain_count] != NULL);
		l->chain_count++;
		if (at == t->step->file) {
			break;
		}
	}
	return found;
}

void tidy_forget_chain(struct checkpoint_live *l)
{
	for (size_t i = 0; i < l->chain_count; i++) {
		free(l->chain[i]);
	}
	free(l->chain);
	*l = (struct checkpoint_live){0};
}

bool tidy_find_live(const struct tidy_tree *t, struct checkpoint_live *l, size_t *ret_above)
{
	const json_t *disks = json_object_get(t->vm->configuration, "disks");

	for (size_t i = 0; i < json_array_size(disks); i++) {
		const json_t *disk = json_array_get(disks, i);
		const char *controller = json_string_value(json_object_get(disk, "controller"));
		size_t top = top_of(t, disk);

		*l = (struct checkpoint_live){
			.ide = controller != NULL && strcmp(controller, "ide") == 0,
			.number = (unsigned)json_integer_value(json_object_get(disk, "number")),
			.location = (unsigned)json_integer_value(json_object_get(disk, "location")),
		};
		*ret_above = DISK_TREE_NONE;
		if (top < t->count && find_chain(t, top, l, ret_above)) {
			return true;
		}
		tidy_forget_chain(l);
	}
	return false;
}
