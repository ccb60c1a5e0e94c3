// SPDX-License-Identifier: Apache-2.0
/* A checkpoint of a VM that runs: files are opened, its file systems frozen if that is wished, the worker asked; then it tells of memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api_error.h"
#include "creation.h"
#include "link.h"
#include "task.h"
#include "vmms.h"

static void finish_when_complete(struct creation *n)
{
	if (n->switched && !n->frozen && (n->written || !n->with_memory)) {
		creation_finish(n);
	}
}

/* The worker's memory file is complete, or will not be; the answer to the request has come before. */
static void on_event(struct vm *vm, const char *name, const char *text)
{
	struct creation *n = vm->op;
	char result[16] = "", why[VM_REASON_BYTES] = "";
	unsigned long long done = link_number(text, "done"), total = link_number(text, "total");

	if (strcmp(name, "checkpoint") != 0) {
		return;
	}
	if (!link_value(text, "result", result, sizeof(result))) {
		if (total > 0 && done <= total) {
			job_progress(n->job, (unsigned)(done * 100 / total), "writing memory");
		}
		return;
	}
	if (strcmp(result, "ok") == 0) {
		n->written = true;
		finish_when_complete(n);
		return;
	}
	(void)link_value(text, "text", why, sizeof(why));
	creation_lose(n, strstr(why, "No space left") != NULL ? API_NO_SPACE : API_FAILED, why);
}

/* The worker is gone in the middle; what it left is looked at (vm_end.c calls checkpoint_recover). */
static void on_end(struct vm *vm, const struct vm_end *end)
{
	struct creation *n = vm->op;
	struct job *j = n->job;

	if (n->at_work) {
		n->ended = true; /* files_open goes on from there */
		return;
	}
	unlink(n->state_new);
	creation_forget(n);
	job_fail(j, API_FAILED, NULL, "%s ended before the checkpoint was made: %s%s%s",
		 vm_name(vm), end->how, end->message[0] == '\0' ? "" : ": ", end->message);
}

/* File systems that went on by themselves before may have been in the middle of something when the disks were caught. */
static void on_thawed(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct creation *n = vm->op;
	char why[VM_REASON_BYTES];

	if (answer == NULL || vm->on_end != on_end) {
		return;
	}
	n->frozen = false;
	if (link_is_ok(answer)) {
		finish_when_complete(n);
	} else {
		snprintf(why, sizeof(why),
			 "its guest's file systems did not stand still long enough: %.1000s; try "
			 "again when it has less to do",
			 answer);
		creation_lose(n, API_FAILED, why);
	}
}

static void on_answer(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct creation *n = vm->op;

	if (answer == NULL || vm->on_end != on_end) {
		return; /* its end comes, or has come */
	}
	if (!link_is_ok(answer)) {
		char why[VM_REASON_BYTES];

		snprintf(why, sizeof(why), "%s", answer);
		creation_give_up(
			n, strstr(why, "No space left") != NULL ? API_NO_SPACE : API_FAILED, why);
		return;
	}
	n->pause_ns = link_number(answer, "pause_ns");
	if (!creation_commit_switch(n)) {
		struct job *j = n->job;

		creation_thaw(n);
		creation_forget(n);
		job_fail(j, API_FAILED, NULL,
			 "%s writes new files now, but vm.json could not be written; it will be "
			 "when the machine ends; make room, "
			 "and do not copy the machine before",
			 vm_name(vm));
		return;
	}
	if (n->frozen) {
		link_ask_words(vm->worker.link, on_thawed, vm, -1, "thaw", NULL);
	}
	finish_when_complete(n);
}

static void ask(struct creation *n)
{
	struct vm *vm = n->vm;
	struct packet *p = checkpoint_disks_request(&n->disks, n->state_fd, &n->failure);

	if (p == NULL) {
		creation_give_up(n, n->failure.code, n->failure.text);
		return;
	}
	job_progress(n->job, 5, "disks");
	link_ask(vm->worker.link, p, on_answer, vm);
}

static void on_frozen(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct creation *n = vm->op;

	if (answer == NULL || vm->on_end != on_end) {
		return;
	}
	n->frozen = link_is_ok(answer);
	if (!n->frozen && n->kind == CHECKPOINT_PRODUCTION_ONLY) {
		char why[VM_REASON_BYTES];

		snprintf(why, sizeof(why), "its guest cannot freeze its file systems: %s", answer);
		creation_give_up(n, API_NOT_SUPPORTED, why);
		return;
	}
	n->with_memory = !n->frozen;
	json_object_set_new(n->record, "kind", json_string(n->frozen ? "production" : "standard"));
	json_object_set_new(n->record, "with_memory", json_boolean(n->with_memory));
	if (n->frozen) {
		close(n->state_fd);
		n->state_fd = -1;
		unlink(n->state_new);
	}
	ask(n);
}

static void begin(struct creation *n)
{
	if (n->kind != CHECKPOINT_STANDARD) {
		job_progress(n->job, 0, "freezing the guest's file systems");
		link_ask_words(n->vm->worker.link, on_frozen, n->vm, -1, "freeze", NULL);
	} else {
		ask(n);
	}
}

static void open_files(void *ctx)
{
	struct creation *n = ctx;

	n->failed = !checkpoint_disks_open(&n->disks, &n->failure);
	if (n->failed) {
		return;
	}
	n->state_fd = open(n->state_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (n->state_fd < 0) {
		n->failed = true;
		n->failure.code = api_error_of_errno(errno);
		snprintf(n->failure.text, sizeof(n->failure.text), "%.1000s: %s", n->state_new,
			 strerror(errno));
	}
}

static void files_open(void *ctx)
{
	struct creation *n = ctx;

	n->at_work = false;
	if (n->failed || n->ended) {
		creation_give_up(n, n->failed ? n->failure.code : API_FAILED,
				 n->failed ? n->failure.text : "it ended meanwhile");
		return;
	}
	begin(n);
}

void creation_begin_running(struct creation *n)
{
	struct vm *vm = n->vm;

	n->at_work = true;
	vm->on_event = on_event;
	vm->on_end = on_end;
	task_run(vm->vmms->tasks, open_files, files_open, n);
}
