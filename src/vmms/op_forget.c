// SPDX-License-Identifier: Apache-2.0
/*
 * Removing checkpoints (Decision: docs/design/0008-checkpoints.md, "Remove"). What comes from one that goes comes from its parent from then on; that is written
 * before the record goes, so that the tree is whole at any moment; and all of it is in the journal, so that what was begun is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_journal.h"
#include "host/log.h"
#include "lib/check.h"
#include "op_checkpoint.h"
#include "saved_state.h"
#include "store.h"
#include "vm_settle.h"

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

/* How many lie between @id and the first of all; a loop ends. */
static unsigned depth_of(struct vm *vm, const char *id)
{
	unsigned depth = 0;

	while (id != NULL && depth <= CHECKPOINTS_MAX) {
		id = parent_of(checkpoint_find(vm, id));
		depth++;
	}
	return depth;
}

/* Before those that it comes from. */
static void insert(struct vm *vm, json_t *ids, const char *id)
{
	size_t i = 0;

	while (i < json_array_size(ids) &&
	       depth_of(vm, json_string_value(json_array_get(ids, i))) > depth_of(vm, id)) {
		i++;
	}
	json_array_insert_new(ids, i, json_string(id));
}

/* @root, or it and all that come from it. */
static json_t *list_of(struct vm *vm, const char *root, bool subtree)
{
	json_t *all = checkpoints_of(vm), *ids = json_array();

	CHECK(ids != NULL);
	for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
		const char *id = json_object_iter_key(i);

		if (subtree ? comes_from(vm, id, root) : strcmp(id, root) == 0) {
			insert(vm, ids, id);
		}
	}
	return ids;
}

static int forget_all(struct vm *vm, const json_t *ids, struct json_file_error *error)
{
	int r = 0;

	for (size_t i = 0; i < json_array_size(ids) && r == 0; i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		r = id == NULL ? 0 : forget_one(vm, id, error);
	}
	return r;
}

bool checkpoint_recover_forget(struct vm *vm, const json_t *journal)
{
	struct json_file_error error;
	int r = forget_all(vm, json_object_get(journal, "ids"), &error);

	if (r < 0) {
		log_line("%s: a checkpoint is not removed yet: %s", vm_name(vm), error.text);
	}
	return r == 0;
}

static void complete(struct vm *vm, struct job *j, void *ctx)
{
	(void)vm;
	(void)ctx;
	job_complete(j, NULL);
}

struct removal {
	json_t *ids; /* those that come from others first */
};

static void forget_removal(struct vm *vm)
{
	struct removal *m = vm->op;

	vm->op = NULL;
	json_decref(m->ids);
	free(m);
}

static void begin(struct vm *vm, struct job *j)
{
	struct removal *m = vm->op;
	struct json_file_error error = {{0}};
	int r = journal_write(
		vm, json_pack("{s:i, s:s, s:O}", "format", 1, "kind", "forget", "ids", m->ids),
		&error);
	bool begun = r == 0;

	if (r == 0) {
		r = forget_all(vm, m->ids, &error);
	}
	forget_removal(vm);
	if (r < 0) {
		job_fail(j, r == -ENOSPC ? API_NO_SPACE : API_FAILED, NULL,
			 "%s: the checkpoint is not removed%s: %s", vm_name(vm),
			 begun ? " yet, which is tried again later" : "", error.text);
		return;
	}
	journal_end(vm);
	op_tidy(vm, j, complete, NULL);
}

void op_forget(struct vm *vm, struct job *j, const char *id, bool subtree)
{
	struct removal *m = calloc(1, sizeof(*m));

	CHECK(m != NULL);
	*m = (struct removal){.ids = list_of(vm, id, subtree)};
	vm->op = m;
	vm_settle(vm, j, begin, forget_removal);
}
