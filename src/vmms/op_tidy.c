// SPDX-License-Identifier: Apache-2.0
/*
 * Files that nobody uses go, or take what lies on them (disk_tree.h says which). Each step leaves chains and records that agree; what is left when the job is
 * cancelled or fails is found again the next time.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_files.h"
#include "checkpoint_journal.h"
#include "checkpoint_live.h"
#include "checkpoint_look.h"
#include "checkpoint_merge.h"
#include "host/log.h"
#include "lib/check.h"
#include "op_checkpoint.h"
#include "plan.h"
#include "task.h"
#include "tidy_chain.h"
#include "vm_settle.h"
#include "vmms.h"

#define AFTER_CANCEL_NS (UINT64_C(1) * 1000000000)
#define AFTER_END_NS UINT64_C(1) /* of the machine: files that it had open are closed now */
#define AFTER_FAILURE_S 600u	 /* at most: when there may be room again */

struct tidy {
	struct vm *vm;
	struct job *job;
	void (*then)(struct vm *vm, struct job *j, void *ctx);
	void *ctx;
	struct disk_tree_file *files; /* as of the step */
	size_t count;
	struct disk_tree_step step;
	struct checkpoint_merge merge;
	size_t above; /* in an open chain, the file on the last one; DISK_TREE_NONE: that is the top */
	bool live;    /* the merge is the worker's */
	uint64_t
		again_ns; /* something is left for a time that much later; 0: nothing is, or nobody knows when */
};

static void next(struct tidy *t);

/* A VM that ends while a thread is at files that are not its worker's: what comes next is seen then. */
static void on_end(struct vm *vm, const struct vm_end *end)
{
	(void)vm;
	(void)end;
}

static void expect_end(struct vm *vm)
{
	vm->on_end = vm_is_active(vm) ? on_end : NULL;
}

/* ---- The end, and again ---- */

static void tidy_after(struct vm *vm, uint64_t wait_ns);

static void on_time(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->job != NULL) {
		tidy_after(vm, AFTER_CANCEL_NS);
	} else {
		op_tidy_later(vm);
	}
}

static void tidy_after(struct vm *vm, uint64_t wait_ns)
{
	vm->tidy_timer.fn = on_time;
	vm->tidy_timer.ctx = vm;
	loop_timer_set(vm->vmms->loop, &vm->tidy_timer, host_now_ns() + wait_ns);
}

static void end(struct tidy *t)
{
	struct vm *vm = t->vm;
	struct job *j = t->job;
	void (*then)(struct vm *, struct job *, void *) = t->then;
	void *ctx = t->ctx;

	if (t->again_ns != 0) {
		tidy_after(vm, t->again_ns);
	}
	free(t->files);
	free(t);
	vm->op = NULL;
	vm->tidying = false;
	job_forbid_cancel(j);
	then(vm, j, ctx);
}

/* ---- Merging ---- */

/* Files that a worker has had may be locked a little longer than it lives; a full disk stays full for a while. */
static uint64_t after_failure_ns(struct vm *vm)
{
	unsigned seconds = vm->tidy_failures < 10 ? 1u << vm->tidy_failures++ : AFTER_FAILURE_S;

	return seconds * UINT64_C(1000000000);
}

static uint64_t when_again(const struct tidy *t, bool cancelled)
{
	return cancelled			 ? AFTER_CANCEL_NS
	       : t->live && !vm_is_active(t->vm) ? AFTER_END_NS
						 : after_failure_ns(t->vm);
}

static void merged(struct tidy *t, bool cancelled, bool failed, const char *why)
{
	struct json_file_error error;

	if (failed) {
		log_line("%s: files of removed checkpoints are not merged yet: %s", vm_name(t->vm),
			 why);
	}
	t->again_ns = when_again(t, cancelled);
	if (cancelled) {
		journal_end(t->vm);
		end(t);
	} else if (failed) {
		checkpoint_recover_merge(t->vm);
		end(t);
	} else if (tidy_record_merge(t->vm, t->files, &t->step, &error) < 0) {
		log_line("%s: %s", vm_name(t->vm), error.text);
		end(t);
	} else {
		t->again_ns = 0;
		t->vm->tidy_failures = 0;
		journal_end(t->vm);
		next(t);
	}
}

static void work(void *ctx)
{
	checkpoint_merge_run(ctx);
}

static void work_done(void *ctx)
{
	struct checkpoint_merge *m = ctx;
	struct tidy *t = (struct tidy *)((char *)m - offsetof(struct tidy, merge));
	struct checkpoint_merge done = *m;

	t->vm->on_end = NULL;
	merged(t, done.cancelled, done.failed, done.failure.text);
	checkpoint_merge_fini(&done);
}

static char *absolute_of(const struct tidy *t, size_t file)
{
	return plan_path(t->vm, checkpoint_files_path(t->vm, file));
}

/* On files that no worker has open: the merge, unless @only_reconnect, and what lies on the last file, but for @except, gets its new parent. */
static void merge_here(struct tidy *t, bool only_reconnect, size_t except)
{
	struct checkpoint_merge *m = &t->merge;

	*m = (struct checkpoint_merge){
		.base = absolute_of(t, t->step.file),
		.last = absolute_of(t, t->step.last),
		.count = only_reconnect ? 0 : (unsigned)t->step.count,
		.children = calloc(t->count + 1, sizeof(*m->children)),
		.job = t->job,
	};
	CHECK(m->children != NULL);
	for (size_t i = 0; i < t->count; i++) {
		if (t->files[i].parent == t->step.last && i != except) {
			m->children[m->child_count++] = absolute_of(t, i);
		}
	}
	expect_end(t->vm);
	task_run(t->vm->vmms->tasks, work, work_done, m);
}

/* ---- Merging in an open chain ---- */

static void live_done(void *ctx, bool cancelled, const char *error)
{
	struct tidy *t = ctx;

	if (cancelled || error != NULL) {
		merged(t, cancelled, error != NULL, error);
	} else {
		merge_here(t, true,
			   t->above); /* the worker has recorded the new parent in the one above */
	}
}

/*
 * Written before: that somebody has to look what became of it, should nobody see its end; and of the file that is written, that the guest may go on in the base. False: it could not be
 * written.
 */
static bool note(struct tidy *t, bool top)
{
	struct json_file_error error;
	int r = journal_write(t->vm,
			      json_pack("{s:i, s:s, s:b, s:[{s:s, s:s}]}", "format", 1, "kind",
					"merge", "top", top, "disks", "old",
					checkpoint_files_path(t->vm, t->step.last), "new",
					checkpoint_files_path(t->vm, t->step.file)),
			      &error);

	if (r < 0) {
		log_line("%s: %s", vm_name(t->vm), error.text);
	}
	return r == 0;
}

static void merge(struct tidy *t)
{
	struct checkpoint_live l = {0};

	job_progress(t->job, 0, "merging");
	const struct tidy_tree tree = {
		.vm = t->vm, .files = t->files, .count = t->count, .step = &t->step};
	bool live = vm_is_active(t->vm) && tidy_find_live(&tree, &l, &t->above);

	t->live = live;
	if (!note(t, live && l.depth == 0)) {
		tidy_forget_chain(&l);
		end(t);
	} else if (!live) {
		merge_here(t, false, DISK_TREE_NONE);
	} else {
		checkpoint_live_merge(t->vm, t->job, &l, live_done, t);
	}
}

/* ---- Steps ---- */

static void next(struct tidy *t)
{
	struct json_file_error error;

	free(t->files);
	t->files = checkpoint_files_tree(t->vm, &t->count);
	if (!disk_tree_next(t->files, t->count, &t->step)) {
		end(t);
	} else if (job_is_cancelling(t->job)) {
		t->again_ns = AFTER_CANCEL_NS;
		end(t);
	} else if (t->step.kind == DISK_TREE_MERGE) {
		merge(t);
	} else if (tidy_drop_file(t->vm, checkpoint_files_path(t->vm, t->step.file), &error) < 0) {
		log_line("%s: %s", vm_name(t->vm), error.text);
		end(t);
	} else {
		next(t);
	}
}

static void forget(struct vm *vm)
{
	free(vm->op); /* it has no tree yet */
	vm->op = NULL;
	vm->tidying = false;
}

static void looked(void *ctx)
{
	struct tidy *t = ctx;

	t->vm->on_end = NULL;
	if (checkpoint_look_wanted(t->vm)) {
		t->again_ns = after_failure_ns(t->vm);
		end(t); /* not all files could be asked */
	} else {
		next(t);
	}
}

static void begin(struct vm *vm, struct job *j)
{
	struct tidy *t = vm->op;

	(void)j;
	if (checkpoint_look_wanted(vm)) {
		expect_end(vm);
		checkpoint_look(vm, looked, t);
	} else {
		next(t);
	}
}

void op_tidy(struct vm *vm, struct job *j, void (*then)(struct vm *vm, struct job *j, void *ctx),
	     void *ctx)
{
	struct tidy *t = calloc(1, sizeof(*t));

	CHECK(t != NULL);
	*t = (struct tidy){.vm = vm, .job = j, .then = then, .ctx = ctx};
	vm->op = t;
	vm->tidying = true;
	job_allow_cancel(j, NULL, NULL);
	vm_settle(vm, j, begin, forget);
}

static void complete(struct vm *vm, struct job *j, void *ctx)
{
	(void)vm;
	(void)ctx;
	if (job_is_cancelling(j)) {
		job_cancelled(j);
	} else {
		job_complete(j, NULL);
	}
}

void op_tidy_later(struct vm *vm)
{
	struct disk_tree_step step;
	size_t count;

	if (vm->job != NULL || vm->unusable || vm->vmms->stopping) {
		return;
	}
	struct disk_tree_file *files = checkpoint_files_tree(vm, &count);
	bool wanted = checkpoint_look_wanted(vm) || journal_is_there(vm) ||
		      disk_tree_next(files, count, &step);

	free(files);
	if (wanted) {
		op_tidy(vm, job_create(vm->vmms, "merge", vm, ""), complete, NULL);
	}
}
