// SPDX-License-Identifier: Apache-2.0
#include "saving.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "device_state.h"
#include "host/log.h"
#include "lib/bits.h"
#include "pause.h"
#include "restore.h"
#include "saved/saved.h"
#include "worker.h"

#define PROCESSES_MAX 8u
#define PROGRESS_NS UINT64_C(250000000)

struct saving {
	struct worker *worker;
	struct saved_job *job;
	int fd;
	bool save;	 /* a checkpoint otherwise */
	bool was_paused; /* before it began */
	uint64_t done_bytes, total_bytes;
	struct loop_timer timer; /* for the next word about progress */
	saving_done *done;
	void *ctx;
};

static const char *word(const struct saving *s)
{
	return s->save ? "save" : "checkpoint";
}

const char *saving_what(const struct worker *w, uint64_t *ret_done, uint64_t *ret_total)
{
	const struct saving *s = w->saving;

	*ret_done = s != NULL ? s->done_bytes : 0;
	*ret_total = s != NULL ? s->total_bytes : 0;
	return s != NULL ? word(s) : NULL;
}

bool saving_was_paused(const struct worker *w)
{
	return w->saving->was_paused;
}

static unsigned processes_wanted(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)min_u64(processors > 0 ? (uint64_t)processors : 1, PROCESSES_MAX);
}

/* ---- The end of it ---- */

static void forget(struct saving *s)
{
	struct worker *w = s->worker;

	loop_timer_set(w->loop, &s->timer, 0);
	if (s->job != NULL) {
		loop_remove(w->loop, saved_job_fd(s->job));
		saved_job_destroy(s->job);
	}
	close(s->fd);
	free(s);
	w->saving = NULL;
}

static void go_on(struct worker *w, bool was_paused)
{
	if (was_paused) {
		storage_tend(w->storage);
	} else if (machine_resume(w) != 0) {
		log_line("the machine cannot go on");
		worker_end_round(w, END_HOST_FAILURE);
	}
}

static void finish(struct saving *s, const char *why)
{
	struct worker *w = s->worker;
	bool save = s->save, was_paused = s->was_paused;
	saving_done *done = s->done;
	void *ctx = s->ctx;

	forget(s);
	if (save && why != NULL) {
		go_on(w, was_paused);
	}
	done(ctx, why);
	if (save && why == NULL) {
		worker_end_round(w, END_SAVED);
	}
}

void saving_cancel(struct worker *w)
{
	if (w->saving != NULL) {
		saving_done *done = w->saving->done;
		void *ctx = w->saving->ctx;

		forget(w->saving);
		done(ctx, "the machine ended before its state was saved");
	}
}

static void on_progress(void *ctx)
{
	struct saving *s = ctx;
	struct saved_error error = {0};
	int r = saved_job_poll(s->job, &s->done_bytes, &s->total_bytes, &error);

	if (r == 1) {
		loop_timer_set(s->worker->loop, &s->timer, host_now_ns() + PROGRESS_NS);
		control_event(s->worker->control, word(s), "done=%llu\ntotal=%llu\n",
			      (unsigned long long)s->done_bytes,
			      (unsigned long long)s->total_bytes);
		return;
	}
	if (r < 0 && error.text[0] == '\0') {
		snprintf(error.text, sizeof(error.text), "writing the state: %s", strerror(-r));
	}
	finish(s, r == 0 ? NULL : error.text);
}

/* ---- The beginning ---- */

/* The machine stands still: its devices into memory, its memory into a process of its own. */
static int catch_state(struct saving *s)
{
	struct worker *w = s->worker;
	uint8_t *devices;
	size_t bytes;
	int r = device_state_save(w, &devices, &bytes);

	if (r == 0) {
		const struct saved_image image = {
			.memory = w->ram,
			.memory_bytes = w->map.ram_bytes,
			.devices = devices,
			.device_bytes = bytes,
			.awaited = s->save,
		};

		r = saved_start(s->fd, &image, processes_wanted(), &s->job);
		free(devices);
	}
	if (r == 0) {
		loop_timer_set(w->loop, &s->timer, host_now_ns() + PROGRESS_NS);
		r = loop_add(w->loop, saved_job_fd(s->job), on_progress, s);
	}
	return r;
}

static struct saving *create(struct worker *w, int fd, bool save, saving_done *done, void *ctx)
{
	struct saving *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	*s = (struct saving){.worker = w,
			     .fd = fd,
			     .save = save,
			     .was_paused = w->machine.paused,
			     .timer = {.fn = on_progress, .ctx = s},
			     .done = done,
			     .ctx = ctx};
	w->saving = s;
	return s;
}

/* Nothing was caught. */
static const char *fail(struct saving *s, const char *why)
{
	struct worker *w = s->worker;
	bool was_paused = s->was_paused;

	forget(s);
	go_on(w, was_paused);
	return why;
}

/* The machine could not be brought to a stand. */
static const char *fail_running(struct saving *s, const char *why)
{
	forget(s);
	return why;
}

static const char *busy(struct worker *w, int fd)
{
	if (w->saving == NULL) {
		return NULL;
	}
	close(fd);
	return "the machine's state is being written already";
}

const char *saving_save(struct worker *w, int fd, saving_done *done, void *ctx)
{
	const char *why = busy(w, fd);
	struct saving *s = why == NULL ? create(w, fd, true, done, ctx) : NULL;

	if (s == NULL) {
		return why != NULL ? why : strerror(ENOMEM);
	}
	restore_finish(w);
	why = machine_pause(w);
	if (why != NULL) {
		return fail_running(s, why);
	}
	storage_rest(w->storage);
	/* What the guest believes to be on its disks must be there when it goes on elsewhere. */
	if (!storage_flush(w->storage)) {
		return fail(s, "a disk could not write what it holds back");
	}
	int r = catch_state(s);

	return r == 0 ? NULL : fail(s, strerror(-r));
}

const char *saving_checkpoint(struct worker *w, int fd, saving_done *done, void *ctx,
			      uint64_t *ret_pause_ns)
{
	const char *why = busy(w, fd);
	struct saving *s = why == NULL ? create(w, fd, false, done, ctx) : NULL;

	if (s == NULL) {
		storage_checkpoint_forget(w->storage);
		return why != NULL ? why : strerror(ENOMEM);
	}
	restore_finish(w);
	uint64_t start_ns = host_now_ns();

	why = machine_pause(w);
	if (why != NULL) {
		storage_checkpoint_forget(w->storage);
		return fail_running(s, why);
	}
	storage_rest(w->storage);
	if (!storage_checkpoint_switch(w->storage, w->why, sizeof(w->why))) {
		return fail(s, w->why);
	}
	int r = fd < 0 ? 0 : catch_state(s);

	if (r != 0) {
		storage_checkpoint_undo(w->storage);
		return fail(s, strerror(-r));
	}
	go_on(w, s->was_paused);
	*ret_pause_ns = host_now_ns() - start_ns;
	if (fd < 0) {
		forget(s); /* of the disks alone: that was all */
	}
	return NULL;
}
