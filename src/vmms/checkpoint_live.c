// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "lib/check.h"
#include "link.h"
#include "plan.h"
#include "task.h"
#include "vmms.h"

#define FILES_MAX 3u
#define SCSI_CONTROLLERS 4u

struct live {
	struct vm *vm;
	struct job *job;
	struct checkpoint_live what;
	void (*done)(void *ctx, bool cancelled, const char *error);
	void *ctx;
	char *files[FILES_MAX]; /* absolute: those that the worker has to write */
	int fds[FILES_MAX];
	size_t file_count;
	bool at_work; /* a thread has it */
	bool ended;   /* the worker is gone */
	bool failed;
	char text[1200];
};

static void finish(struct live *l, bool cancelled, const char *error)
{
	void (*done)(void *, bool, const char *) = l->done;
	void *ctx = l->ctx;
	char text[1200];

	snprintf(text, sizeof(text), "%s", error == NULL ? "" : error);
	l->vm->on_event = NULL;
	l->vm->on_end = NULL;
	for (size_t i = 0; i < l->file_count; i++) {
		if (l->fds[i] >= 0) {
			close(l->fds[i]);
		}
		free(l->files[i]);
	}
	for (size_t i = 0; i < l->what.chain_count; i++) {
		free(l->what.chain[i]);
	}
	free(l->what.chain);
	free(l);
	done(ctx, cancelled, error == NULL ? NULL : text);
}

/* ---- What the worker says ---- */

static void place_text(const struct live *l, char ret[32])
{
	snprintf(ret, 32, "%s%u:%u", l->what.ide ? "ide" : "scsi", l->what.number,
		 l->what.location);
}

static struct live *live_of(struct vm *vm)
{
	return vm->live;
}

static void on_event(struct vm *vm, const char *name, const char *text)
{
	struct live *l = live_of(vm);
	char place[32], disk[32] = "", state[16] = "", why[1000] = "it failed";
	unsigned long long done = link_number(text, "done"), total = link_number(text, "total");

	place_text(l, place);
	if (strcmp(name, "merge") != 0 || !link_value(text, "disk", disk, sizeof(disk)) ||
	    strcmp(disk, place) != 0 || !link_value(text, "state", state, sizeof(state))) {
		return;
	}
	if (strcmp(state, "done") == 0) {
		finish(l, false, NULL);
	} else if (strcmp(state, "cancelled") == 0) {
		finish(l, true, NULL);
	} else if (strcmp(state, "failed") == 0) {
		(void)link_value(text, "text", why, sizeof(why));
		finish(l, false, why);
	} else if (total > 0 && done <= total) {
		job_progress(l->job, (unsigned)(done * 100 / total), "merging");
	}
}

static void on_end(struct vm *vm, const struct vm_end *end)
{
	struct live *l = live_of(vm);

	(void)end;
	if (l->at_work) {
		l->ended = true;
	} else {
		finish(l, false, "the machine ended");
	}
}

static void on_answer(void *ctx, const char *answer)
{
	struct vm *vm = ctx;

	if (answer == NULL || vm->on_end != on_end || link_is_ok(answer)) {
		return; /* the end, or events, come */
	}
	finish(live_of(vm), false, answer);
}

static void cancel(void *ctx)
{
	struct vm *vm = ctx;
	struct live *l = vm->on_end == on_end ? live_of(vm) : NULL;
	char disk[64];

	if (l == NULL || l->at_work) {
		return; /* looked at before it is asked for */
	}
	snprintf(disk, sizeof(disk), "--disk=%s:%u:%u:-:0:0:", l->what.ide ? "ide" : "scsi",
		 l->what.number, l->what.location);
	link_ask_words(vm->worker.link, NULL, NULL, -1, "merge-cancel", disk, NULL);
}

/* ---- The request ---- */

static bool add_file(struct live *l, struct packet *p, size_t i, struct launch_error *error)
{
	unsigned slot = l->what.ide ? SCSI_CONTROLLERS + l->what.number * 2 + l->what.location
				    : l->what.number;
	char *word;

	CHECK(asprintf(&word, "--file=%u:%zu:1:%zu:%s:%s", slot, i, strlen(l->files[i]),
		       l->files[i], l->files[i]) > 0);
	bool ok = packet_add_word(p, word, error) && packet_copy_fd(p, l->fds[i], error);

	free(word);
	return ok;
}

static bool fill(struct live *l, struct packet *p, struct launch_error *error)
{
	char *disk, depth[32], number[32], *top = plan_path(l->vm, l->what.chain[0]);

	CHECK(asprintf(&disk, "--disk=%s:%u:%u:-:0:0:%s", l->what.ide ? "ide" : "scsi",
		       l->what.number, l->what.location, top) > 0);
	snprintf(depth, sizeof(depth), "--depth=%u", l->what.depth);
	snprintf(number, sizeof(number), "--count=%u", l->what.count);
	bool ok = packet_add_word(p, "merge", error) && packet_add_word(p, disk, error) &&
		  packet_add_word(p, depth, error) && packet_add_word(p, number, error);

	for (size_t i = 0; i < l->file_count && ok; i++) {
		ok = add_file(l, p, i, error);
	}
	free(disk);
	free(top);
	return ok;
}

static void ask(struct live *l)
{
	struct packet *p = calloc(1, sizeof(*p));
	struct launch_error error = {{0}};

	CHECK(p != NULL);
	if (!fill(l, p, &error)) {
		packet_drop(p);
		finish(l, false, error.text);
		return;
	}
	job_allow_cancel(l->job, cancel, l->vm);
	link_ask(l->vm->worker.link, p, on_answer, l->vm);
}

static void open_files(void *ctx)
{
	struct live *l = ctx;

	for (size_t i = 0; i < l->file_count && !l->failed; i++) {
		int r = backend_open(l->files[i], BACKEND_SHARE, &l->fds[i], NULL);

		if (r < 0) {
			l->fds[i] = -1;
			l->failed = true;
			snprintf(l->text, sizeof(l->text), "%.1000s: %s", l->files[i],
				 strerror(-r));
		}
	}
}

static void files_open(void *ctx)
{
	struct live *l = ctx;

	l->at_work = false;
	if (l->ended || l->failed) {
		finish(l, false, l->failed ? l->text : "the machine ended");
	} else if (job_is_cancelling(l->job)) {
		finish(l, true, NULL);
	} else {
		ask(l);
	}
}

/* ---- The beginning ---- */

static void want(struct live *l, size_t index)
{
	l->files[l->file_count] = plan_path(l->vm, l->what.chain[index]);
	l->fds[l->file_count++] = -1;
}

void checkpoint_live_merge(struct vm *vm, struct job *j, struct checkpoint_live *what,
			   void (*done)(void *ctx, bool cancelled, const char *error), void *ctx)
{
	struct live *l = calloc(1, sizeof(*l));
	size_t base = what->depth + what->count;

	CHECK(l != NULL && base < what->chain_count);
	*l = (struct live){.vm = vm, .job = j, .what = *what, .done = done, .ctx = ctx};
	*what = (struct checkpoint_live){0};
	vm->live = l;
	want(l, base);
	if (base - 1 > 0) {
		want(l, base - 1);
	}
	if (l->what.depth >= 2) {
		want(l, l->what.depth - 1);
	}
	l->at_work = true;
	vm->on_event = on_event;
	vm->on_end = on_end;
	task_run(vm->vmms->tasks, open_files, files_open, l);
}
