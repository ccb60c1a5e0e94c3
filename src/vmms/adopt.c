// SPDX-License-Identifier: Apache-2.0
#include "adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cpu_policy.h"
#include "host/log.h"
#include "link.h"
#include "machine_engine.h"
#include "op_checkpoint.h"
#include "process.h"
#include "saved_state.h"
#include "vm_worker.h"
#include "vmms.h"

#define LOOK_AGAIN_NS (UINT64_C(500) * 1000000)
#define FIND_TRIES 200u /* 2 s */

static void ask(void *ctx);

/* A worker in the middle of something goes on with it; the job that wanted it is gone. */
static void on_info(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	char state[24] = "running", trouble[VM_REASON_BYTES] = "";

	if (answer == NULL || vm->job != NULL) {
		return;
	}
	(void)link_value(answer, "state", state, sizeof(state));
	(void)link_value(answer, "trouble", trouble, sizeof(trouble));
	vm_set_critical(vm, trouble);
	vm->worker.since_ns = host_now_ns() - link_number(answer, "uptime_ns");
	checkpoint_recover(vm, answer);
	if (vm->has_saved && strcmp(state, "saving") != 0) {
		saved_state_used(vm); /* it was restored when we were killed */
	}
	if (strcmp(state, "running") == 0 || strcmp(state, "paused") == 0) {
		vm_set_state(vm, strcmp(state, "running") == 0 ? VM_RUNNING : VM_PAUSED);
		op_tidy_later(vm); /* merges that nobody waits for any more go on */
	} else {
		if (strcmp(state, "saving") == 0) {
			vm_set_state(vm, VM_SAVING);
		}
		loop_timer_set(vm->vmms->loop, &vm->timer, host_now_ns() + LOOK_AGAIN_NS);
	}
}

static void ask(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->worker.link != NULL) {
		link_ask_words(vm->worker.link, on_info, vm, -1, "info", NULL);
	}
}

static void take_up(struct vm *vm, int pidfd)
{
	struct machine_process process = {.pid = vm->worker.pid,
					  .start_time = vm->worker.start_time,
					  .pidfd = pidfd,
					  .launcher = -1};
	char path[VM_PATH_BYTES];

	vm_run_path(vm, "engine", path);
	machine_engine_read(path, &process);
	vm_worker_attach(vm, &process);
	cpu_policy_adopt(vm);
	vm->wanted = true;
	/* Until it says more. */
	if (!vm_is_active(vm)) {
		vm->state = VM_RUNNING;
	}
	vm->timer = (struct loop_timer){.fn = ask, .ctx = vm};
	ask(vm);
}

/* It ended while nobody looked. */
static void bury(struct vm *vm)
{
	struct vm_end end;

	vm_worker_read_end(vm, -1, &end);
	vm->worker.pid = 0;
	vm_ended(vm, &end);
}

/* The machine went down with the VM running; without power, as far as anybody knows. */
static void went_down(struct vm *vm)
{
	/* Whether the guest ran nobody knows, so the state may be of before its disks changed. */
	bool perhaps_ran = vm->state == VM_RESTORING || saved_state_is_taken(vm);

	vm->worker.pid = 0;
	saved_state_settle(vm, perhaps_ran);
	saved_state_drop_unfinished(vm);
	vm_set_state(vm, vm->has_saved ? VM_SAVED : VM_OFF);
}

/* It did not run, as far as was written down; but a full disk may have kept that from being written. */
static void rest(struct vm *vm)
{
	struct vm_end end;

	vm_worker_read_end(vm, -1, &end);
	saved_state_settle(vm, saved_state_is_taken(vm) && end.ran);
	saved_state_drop_unfinished(vm);
	vm_set_state(vm, vm->has_saved ? VM_SAVED : VM_OFF);
}

/* ---- Is there a worker? ---- */

static bool read_identity(const struct vm *vm, pid_t *ret_pid, uint64_t *ret_start_time)
{
	char path[VM_PATH_BYTES], text[1024];

	vm_run_path(vm, "worker", path);
	FILE *f = fopen(path, "re");
	bool ok = f != NULL && fgets(text, sizeof(text), f) != NULL &&
		  process_parse_stat(text, ret_pid, ret_start_time);

	if (f != NULL) {
		fclose(f);
	}
	return ok;
}

/* The worker, and who is about to become it, hold a lock on the end file. */
static bool has_worker(const struct vm *vm)
{
	char path[VM_PATH_BYTES];

	vm_run_path(vm, "end", path);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0) {
		close(fd);
	}
	return held;
}

/* A service that was killed in the middle of starting one leaves a process that has yet to write down who it is; one that ends leaves its lock last. */
static int find_worker(struct vm *vm)
{
	const struct timespec nap = {.tv_nsec = 10000000};

	for (unsigned i = 0; i < FIND_TRIES && has_worker(vm); i++) {
		if (read_identity(vm, &vm->worker.pid, &vm->worker.start_time)) {
			int fd = process_open(vm->worker.pid, vm->worker.start_time);

			if (fd >= 0) {
				return fd;
			}
		}
		nanosleep(&nap, NULL);
	}
	return -ESRCH;
}

static void settle_checkpoints(struct vm *vm)
{
	checkpoint_recover(vm, NULL);
	vm->state = vm->has_saved ? VM_SAVED : VM_OFF; /* that may be of a checkpoint */
	op_tidy_later(vm);
}

static void adopt(struct vm *vm, bool first)
{
	bool ran = vm->worker.pid != 0 || vm_is_active(vm);

	if (vm->unusable) {
		vm->state = VM_OFF;
		vm->worker.pid = 0;
		return;
	}
	if (first) {
		went_down(vm);
		settle_checkpoints(vm);
		return;
	}
	int pidfd = find_worker(vm);

	if (pidfd >= 0) {
		take_up(vm, pidfd);
	} else if (ran) {
		bury(vm);
	} else {
		rest(vm);
		settle_checkpoints(vm);
	}
}

void adopt_all(struct vmms *v, bool first)
{
	for (size_t i = 0; i < v->vm_count; i++) {
		adopt(v->vms[i], first);
	}
}
