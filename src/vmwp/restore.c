// SPDX-License-Identifier: Apache-2.0
#include "restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "device_state.h"
#include "end.h"
#include "host/log.h"
#include "lib/bits.h"
#include "saved/saved.h"
#include "worker.h"

#define THREADS_MAX 8u

struct restore {
	struct worker *worker;
	struct saved_file *file;
	struct saved_lazy *lazy; /* NULL: all memory was loaded at once */
	bool devices_due;	 /* the first machine has not taken them yet */
	_Atomic bool ended;	 /* loading; the two below are written before */
	int result;
	struct saved_error error;
	bool told; /* that it ended */
};

static unsigned threads_wanted(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)min_u64(processors > 0 ? (uint64_t)processors : 1, THREADS_MAX);
}

static void report(struct worker *w, const char *text)
{
	log_line("saved state %s: %s", w->config.state_path, text);
}

static bool failed(struct restore *r, int result, const struct saved_error *error)
{
	if (result < 0 && error->text[0] == '\0') {
		report(r->worker, strerror(-result));
	} else {
		report(r->worker, error->text);
	}
	return false;
}

static bool right_size(struct restore *r)
{
	struct worker *w = r->worker;
	uint64_t bytes = saved_memory_bytes(r->file);

	if (bytes == w->map.ram_bytes) {
		return true;
	}
	log_line("saved state %s: it was saved with %llu MiB of memory, this machine has %llu MiB",
		 w->config.state_path, (unsigned long long)(bytes >> 20),
		 (unsigned long long)(w->map.ram_bytes >> 20));
	return false;
}

/* A loader's thread. */
static void on_ended(void *ctx, int result, const struct saved_error *error)
{
	struct restore *r = ctx;

	r->result = result;
	if (error != NULL) {
		r->error = *error;
	}
	atomic_store(&r->ended, true);
	loop_wake(r->worker->loop);
}

static bool load(struct restore *r)
{
	const struct saved_lazy_events events = {.ended = on_ended, .ctx = r};
	struct worker *w = r->worker;
	struct saved_error error = {0};
	int result = -ENOSYS;

	/* Nobody may wait for memory inside KVM: a process without rights loads only what it touches itself. */
	if (!w->config.eager && w->config.kvm_fd < 0) {
		result = saved_lazy_start(r->file, w->ram, threads_wanted(), &events, &r->lazy);
	}
	if (result == -ENOSYS || result == -EPERM) {
		result = saved_load(r->file, w->ram, threads_wanted(), &error);
	}
	return result == 0 || failed(r, result, &error);
}

bool restore_open(struct worker *w)
{
	struct saved_error error = {0};
	struct restore *r;
	int result;

	if (w->config.state_fd < 0) {
		return true;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		report(w, strerror(ENOMEM));
		return false;
	}
	r->worker = w;
	r->devices_due = true;
	w->restore = r;
	result = saved_open(w->config.state_fd, &r->file, &error);
	if (result != 0) {
		return failed(r, result, &error);
	}
	return right_size(r) && load(r);
}

const void *restore_records(const struct worker *w, size_t *ret_bytes)
{
	return w->restore != NULL ? saved_devices(w->restore->file, ret_bytes) : NULL;
}

bool restore_pending(const struct worker *w)
{
	return w->restore != NULL && w->restore->devices_due;
}

bool restore_devices(struct worker *w)
{
	char why[DEVICE_STATE_WHY_BYTES];
	struct restore *r = w->restore;
	size_t bytes;
	const void *data = saved_devices(r->file, &bytes);

	r->devices_due = false;
	if (!device_state_restore(w, data, bytes, why)) {
		report(w, why);
		return false;
	}
	return true;
}

bool restore_loading(const struct worker *w)
{
	return w->restore != NULL && w->restore->lazy != NULL && !atomic_load(&w->restore->ended);
}

/*
 * Memory that does not come: whoever touches it hangs, and would read zeros if it went on, also a disk controller that is about to write them. So nothing
 * goes on: the process ends here, and the disks are as after a crash.
 */
__attribute__((noreturn)) static void give_up(struct restore *r)
{
	failed(r, r->result, &r->error);
	end_report(r->worker, END_HOST_FAILURE);
	control_end(r->worker->control, END_HOST_FAILURE);
	_exit(END_HOST_FAILURE);
}

void restore_poll(struct worker *w)
{
	struct restore *r = w->restore;

	if (r == NULL || r->lazy == NULL || r->told || !atomic_load(&r->ended)) {
		return;
	}
	r->told = true;
	if (r->result != 0) {
		give_up(r);
	}
	control_event(w->control, "loaded", "result=ok\n");
}

void restore_finish(struct worker *w)
{
	struct restore *r = w->restore;

	if (r == NULL || r->lazy == NULL) {
		return;
	}
	r->result = saved_lazy_finish(r->lazy, &r->error);
	if (r->result != 0) {
		give_up(r);
	}
}

void restore_close(struct worker *w)
{
	struct restore *r = w->restore;

	if (r == NULL) {
		return;
	}
	saved_lazy_destroy(r->lazy);
	saved_close(r->file);
	close(w->config.state_fd);
	free(r);
	w->restore = NULL;
}

void restore_touch(void *ctx, const void *start, size_t bytes)
{
	struct worker *w = ctx;
	uintptr_t at = (uintptr_t)start, ram = (uintptr_t)w->ram;

	if (w->restore != NULL && w->restore->lazy != NULL && at >= ram &&
	    at - ram < w->map.ram_bytes) {
		saved_lazy_touch(w->restore->lazy, start,
				 min_u64(bytes, w->map.ram_bytes - (at - ram)));
	}
}
