// SPDX-License-Identifier: Apache-2.0
/*
 * Making a checkpoint (Decision: docs/design/0008-checkpoints.md, "Create"). Of a VM that runs, the worker makes the new tops and the memory file, and says when each
 * is there; of one that is off or saved, we do.
 */
#include "op_checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api_error.h"
#include "checkpoint.h"
#include "checkpoint_journal.h"
#include "clock.h"
#include "creation.h"
#include "lib/check.h"
#include "link.h"
#include "new_id.h"
#include "resources.h"
#include "saved_state.h"
#include "store.h"
#include "task.h"
#include "vm_settle.h"
#include "vmms.h"

void creation_forget(struct creation *n)
{
	struct vm *vm = n->vm;

	vm->op = NULL;
	vm->on_event = NULL;
	vm->on_end = NULL;
	if (n->state_fd >= 0) {
		close(n->state_fd);
	}
	checkpoint_disks_fini(&n->disks);
	json_decref(n->record);
	free(n);
}

void creation_thaw(struct creation *n)
{
	if (n->frozen && n->vm->worker.link != NULL) {
		link_ask_words(n->vm->worker.link, NULL, NULL, -1, "thaw", NULL);
	}
	n->frozen = false;
}

void creation_give_up(struct creation *n, enum api_error code, const char *text)
{
	struct job *j = n->job;
	struct vm *vm = n->vm;
	char why[sizeof(n->failure.text)]; /* what @text points to may go with @n */

	snprintf(why, sizeof(why), "%s", text);
	creation_thaw(n);
	checkpoint_disks_remove(&n->disks);
	unlink(n->state_new);
	journal_end(vm);
	creation_forget(n);
	job_fail(j, code, NULL, "%s: no checkpoint was made: %s", vm_name(vm), why);
}

void creation_lose(struct creation *n, enum api_error code, const char *text)
{
	struct job *j = n->job;
	struct vm *vm = n->vm;
	char why[sizeof(n->failure.text)]; /* what @text points to may go with @n */

	snprintf(why, sizeof(why), "%s", text);
	unlink(n->state_new);
	unlink(n->state);
	if (n->switched) {
		journal_end(vm);
	}
	creation_forget(n);
	job_fail(j, code, NULL, "%s: no checkpoint was made: %s", vm_name(vm), why);
	op_tidy_later(vm);
}

/* ---- The end: records ---- */

static void flush_states(struct creation *n)
{
	char folder[VM_PATH_BYTES];

	vm_path(n->vm, "checkpoints", folder);
	folder_flush(folder);
}

static bool write_records(struct creation *n, struct json_file_error *error)
{
	struct vm *vm = n->vm;

	if (n->with_memory && rename(n->state_new, n->state) < 0) {
		snprintf(error->text, sizeof(error->text), "%s: %s", n->state_new, strerror(errno));
		return false;
	}
	flush_states(n);
	if (checkpoint_write(vm, json_incref(n->record), error) < 0) {
		return false;
	}
	json_t *c = json_deep_copy(vm->configuration);

	CHECK(c != NULL);
	json_object_set_new(json_object_get(c, "checkpoints"), "parent", json_string(n->id));
	return store_configure(vm, c, error) == 0;
}

void creation_finish(struct creation *n)
{
	struct vm *vm = n->vm;
	struct job *j = n->job;
	void (*then)(struct vm *, struct job *) = n->then;
	struct json_file_error error;

	if (!write_records(n, &error)) {
		creation_lose(n, API_FAILED, error.text);
		return;
	}
	json_t *result =
		json_pack("{s:s, s:O, s:I}", "id", n->id, "name",
			  json_object_get(n->record, "name"), "pause_ns", (json_int_t)n->pause_ns);

	journal_end(vm);
	creation_forget(n);
	if (then != NULL) {
		json_decref(result);
		then(vm, j);
	} else {
		job_complete(j, result);
	}
}

bool creation_commit_switch(struct creation *n)
{
	struct json_file_error error;
	json_t *c = json_deep_copy(n->vm->configuration);

	CHECK(c != NULL);
	checkpoint_disks_switch(&n->disks, c);
	if (store_configure(n->vm, c, &error) < 0) {
		return false; /* the journal stays: checkpoint_recover finds the new tops */
	}
	n->switched = true;
	return true;
}

/* ---- A VM that does not ---- */

static void make_files(void *ctx)
{
	struct creation *n = ctx;

	n->failed = !checkpoint_disks_make(&n->disks, n->job, &n->failure);
	if (!n->failed && n->saved[0] != '\0' && link(n->saved, n->state_new) < 0) {
		n->failed = true;
		n->failure.code = api_error_of_errno(errno);
		snprintf(n->failure.text, sizeof(n->failure.text), "%.1000s: %s", n->state_new,
			 strerror(errno));
	}
}

static void files_made(void *ctx)
{
	struct creation *n = ctx;

	if (n->failed) {
		creation_give_up(n, n->failure.code, n->failure.text);
	} else if (!creation_commit_switch(n)) {
		creation_give_up(n, API_NO_SPACE, "vm.json cannot be written");
	} else {
		creation_finish(n);
	}
}

/* ---- The beginning ---- */

static void default_name(const struct vm *vm, char ret[CHECKPOINT_NAME_BYTES])
{
	time_t now = time(NULL);
	struct tm tm;
	char when[40];

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(ret, CHECKPOINT_NAME_BYTES, "%.50s - %s", vm_name(vm), when);
}

static json_t *record_of(const struct creation *n, const char *name)
{
	char now[CLOCK_TEXT_BYTES], made[CHECKPOINT_NAME_BYTES];
	const char *parent = checkpoint_of_present(n->vm);
	json_t *o;

	if (name == NULL || name[0] == '\0') {
		default_name(n->vm, made);
		name = made;
	}
	o = json_pack("{s:i, s:s, s:s, s:o, s:s, s:s, s:b, s:o}", "format", 1, "id", n->id, "name",
		      name, "parent", parent == NULL ? json_null() : json_string(parent), "created",
		      clock_text(clock_now_us(), now), "kind", "standard", "with_memory",
		      n->with_memory, "configuration", json_deep_copy(n->vm->configuration));
	if (o != NULL) {
		/* Those are the VM's, not the checkpoint's. */
		json_object_del(json_object_get(o, "configuration"), "checkpoints");
		json_object_del(json_object_get(o, "configuration"), "restore_from");
	}
	return o;
}

static struct creation *create(struct vm *vm, struct job *j, const char *name,
			       enum checkpoint_kind kind)
{
	struct creation *n = calloc(1, sizeof(*n));
	char file[96];

	CHECK(n != NULL);
	*n = (struct creation){.vm = vm, .job = j, .kind = kind, .state_fd = -1};
	n->with_memory = vm_is_active(vm) || vm->state == VM_SAVED;
	new_id(n->id);
	checkpoint_name(n->id, ".vmrs", file);
	vm_path(vm, file, n->state);
	checkpoint_name(n->id, ".vmrs.new", file);
	vm_path(vm, file, n->state_new);
	if (vm->state == VM_SAVED) {
		(void)saved_state_path(vm, n->saved);
	}
	checkpoint_disks_take(vm, vm->configuration, &n->disks);
	n->record = record_of(n, name);
	CHECK(n->record != NULL);
	return n;
}

struct wish {
	enum checkpoint_kind kind;
	void (*then)(struct vm *vm, struct job *j);
	char *name; /* NULL: none */
};

static void forget_wish(struct vm *vm)
{
	struct wish *w = vm->op;

	vm->op = NULL;
	free(w->name);
	free(w);
}

static void begin_settled(struct vm *vm, struct job *j)
{
	struct wish *w = vm->op;
	struct json_file_error error;
	struct creation *n = create(vm, j, w->name, w->kind);

	n->then = w->then;
	forget_wish(vm);
	vm->op = n;
	if (journal_write(vm,
			  json_pack("{s:i, s:s, s:s, s:O, s:o}", "format", 1, "kind", "checkpoint",
				    "id", n->id, "record", n->record, "disks",
				    checkpoint_disks_json(&n->disks)),
			  &error) < 0) {
		creation_forget(n);
		job_fail(j, API_NO_SPACE, NULL, "%s: no checkpoint was made: %s", vm_name(vm),
			 error.text);
		return;
	}
	job_progress(j, 0, "files");
	if (vm_is_active(vm)) {
		creation_begin_running(n);
	} else {
		task_run(vm->vmms->tasks, make_files, files_made, n);
	}
}

void op_checkpoint(struct vm *vm, struct job *j, const char *name, enum checkpoint_kind kind,
		   void (*then)(struct vm *vm, struct job *j))
{
	char why[400];

	if (json_object_size(checkpoints_of(vm)) >= CHECKPOINTS_MAX) {
		job_fail(j, API_INVALID, NULL, "%s has %u checkpoints already; remove some",
			 vm_name(vm), CHECKPOINTS_MAX);
		return;
	}
	if (vm_is_active(vm) && !resources_can_save(vm, why, sizeof(why))) {
		job_fail(j, API_NO_SPACE, NULL, "%s", why);
		return;
	}
	struct wish *w = calloc(1, sizeof(*w));

	CHECK(w != NULL);
	*w = (struct wish){.kind = kind, .then = then, .name = name == NULL ? NULL : strdup(name)};
	vm->op = w;
	vm_settle(vm, j, begin_settled, forget_wish);
}
