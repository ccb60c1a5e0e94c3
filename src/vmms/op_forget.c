// SPDX-License-Identifier: Apache-2.0
/*
 * Removing checkpoints (Decision: docs/design/0008-checkpoints.md, "Remove"). What comes from one that goes comes from its parent from then on; that is written
 * before the record goes, so that the tree is whole at any moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "lib/check.h"
#include "op_checkpoint.h"
#include "saved_state.h"
#include "store.h"

static const char *parent_of(const json_t *record)
{
	return json_string_value(json_object_get(record, "parent"));
}

static json_t *text_or_null(const char *s)
{
	return s == NULL ? json_null() : json_string(s);
}

/* Does @id come from @ancestor, or is it that one? People may edit records: a loop ends. */
static bool comes_from(struct vm *vm, const char *id, const char *ancestor)
{
	for (unsigned i = 0; id != NULL && i <= CHECKPOINTS_MAX; i++) {
		if (strcmp(id, ancestor) == 0) {
			return true;
		}
		id = parent_of(checkpoint_find(vm, id));
	}
	return false;
}

/* ---- One ---- */

/* Checkpoints that come from @id come from @parent. */
static int move_children(struct vm *vm, const char *id, const char *parent,
			 struct json_file_error *error)
{
	json_t *all = json_copy(checkpoints_of(vm));
	int r = 0;

	CHECK(all != NULL);
	for (void *i = json_object_iter(all); i != NULL && r == 0;
	     i = json_object_iter_next(all, i)) {
		const char *now = parent_of(json_object_iter_value(i));

		if (now != NULL && strcmp(now, id) == 0) {
			json_t *changed = json_deep_copy(json_object_iter_value(i));

			CHECK(changed != NULL);
			json_object_set_new(changed, "parent", text_or_null(parent));
			r = checkpoint_write(vm, changed, error);
		}
	}
	json_decref(all);
	return r;
}

/* A state that the present is to go on from stays, as the VM's own. */
static int keep_state(struct vm *vm, const char *id, json_t *c, struct json_file_error *error)
{
	const char *from = json_string_value(json_object_get(c, "restore_from"));
	char name[96], path[VM_PATH_BYTES], saved[VM_PATH_BYTES];

	checkpoint_name(id, ".vmrs", name);
	if (from == NULL || strcmp(from, name) != 0) {
		return 0;
	}
	vm_path(vm, name, path);
	vm_path(vm, "saved.vmrs", saved);
	if (link(path, saved) < 0 && errno != EEXIST) {
		int r = -errno;

		snprintf(error->text, sizeof(error->text), "%s: %s", saved, strerror(-r));
		return r;
	}
	json_object_del(c, "restore_from");
	return 0;
}

static int move_present(struct vm *vm, const char *id, const char *parent,
			struct json_file_error *error)
{
	const char *present = checkpoint_of_present(vm);

	if (present == NULL || strcmp(present, id) != 0) {
		return 0;
	}
	json_t *c = json_deep_copy(vm->configuration);

	CHECK(c != NULL);
	int r = keep_state(vm, id, c, error);

	if (r < 0) {
		json_decref(c);
		return r;
	}
	json_object_set_new(json_object_get(c, "checkpoints"), "parent", text_or_null(parent));
	return store_configure(vm, c, error);
}

static int forget_one(struct vm *vm, const char *id, struct json_file_error *error)
{
	const char *of = parent_of(checkpoint_find(vm, id));
	char *parent = of == NULL ? NULL : strdup(of);
	int r = move_children(vm, id, parent, error);

	if (r == 0) {
		r = move_present(vm, id, parent, error);
	}
	free(parent);
	if (r == 0) {
		r = checkpoint_delete(vm, id, error);
	}
	saved_state_look(vm);
	return r;
}

/* ---- All ---- */

/* One of those to go from which none of them comes; NULL: none is left. malloced. */
static char *find_leaf(struct vm *vm, const char *root)
{
	json_t *all = checkpoints_of(vm);

	for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
		const char *id = json_object_iter_key(i);
		bool leaf = comes_from(vm, id, root);

		for (void *k = json_object_iter(all); k != NULL && leaf;
		     k = json_object_iter_next(all, k)) {
			const char *of = parent_of(json_object_iter_value(k));

			leaf = of == NULL || strcmp(of, id) != 0;
		}
		if (leaf) {
			return strdup(id);
		}
	}
	return NULL;
}

static int forget_subtree(struct vm *vm, const char *root, struct json_file_error *error)
{
	char *id;
	int r = 0;

	while (r == 0 && (id = find_leaf(vm, root)) != NULL) {
		r = forget_one(vm, id, error);
		free(id);
	}
	return r;
}

static void complete(struct vm *vm, struct job *j, void *ctx)
{
	(void)vm;
	(void)ctx;
	job_complete(j, NULL);
}

void op_forget(struct vm *vm, struct job *j, const char *id, bool subtree)
{
	struct json_file_error error = {{0}};
	char *copy = strdup(id); /* the record that it is from goes */

	CHECK(copy != NULL);
	int r = subtree ? forget_subtree(vm, copy, &error) : forget_one(vm, copy, &error);

	free(copy);
	if (r < 0) {
		job_fail(j, r == -ENOSPC ? API_NO_SPACE : API_FAILED, NULL,
			 "%s: the checkpoint is not removed: %s", vm_name(vm), error.text);
		return;
	}
	op_tidy(vm, j, complete, NULL);
}
