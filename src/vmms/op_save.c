// SPDX-License-Identifier: Apache-2.0
/* Saving: the worker writes a file that we made, and ends. Its end is what counts; its answer says why it did not. */
#include <string.h>

#include "api_error.h"
#include "link.h"
#include "op.h"
#include "resources.h"
#include "saved_state.h"
#include "vhd/vhd.h"
#include "vm_settle.h"
#include "vm_worker.h"
#include "vmms.h"

static void on_end(struct vm *vm, const struct vm_end *end)
{
	struct job *j = vm->job;

	if (strcmp(end->how, "saved") == 0 && vm->has_saved) {
		job_complete(j, NULL);
	} else {
		op_fail_ended(j, vm, "save", end);
	}
}

static enum vm_state state_before(const struct vm *vm)
{
	return vm->op == NULL ? VM_RUNNING : VM_PAUSED;
}

static void on_answer(void *ctx, const char *answer)
{
	struct vm *vm = ctx;
	struct job *j = vm->job;

	if (answer == NULL || vm->on_end != on_end || link_is_ok(answer)) {
		return; /* its end comes, or has come */
	}
	enum vm_state before = state_before(vm);

	vm->on_end = NULL;
	vm->op = NULL;
	saved_state_drop_unfinished(vm);
	vm_set_state(vm, before);
	job_fail(j, strstr(answer, "No space left") != NULL ? API_NO_SPACE : API_FAILED, NULL,
		 "%s cannot be saved, and runs on: %s", vm_name(vm), answer);
}

static bool has_space(struct vm *vm, struct job *j)
{
	char why[400];

	if (resources_can_save(vm, why, sizeof(why))) {
		return true;
	}
	job_fail(j, API_NO_SPACE, NULL, "%s", why);
	return false;
}

static void save_settled(struct vm *vm, struct job *j)
{
	static char paused; /* its address says that the VM was paused before */

	if (!has_space(vm, j)) {
		return;
	}
	int fd = saved_state_create(vm);

	if (fd < 0) {
		char path[VM_PATH_BYTES];

		vm_path(vm, "saved.vmrs", path);
		job_fail(j, api_error_of_errno(-fd), NULL,
			 "%s cannot be saved, and runs on: %s: %s%s", vm_name(vm), path,
			 strerror(-fd), vhd_advice(fd));
		return;
	}
	vm->op = vm->state == VM_PAUSED ? &paused : NULL;
	vm->on_end = on_end;
	job_progress(j, 0, "writing memory");
	vm_set_state(vm, VM_SAVING);
	link_ask_words(vm->worker.link, on_answer, vm, fd, "save", NULL);
}

void op_save(struct vm *vm, struct job *j)
{
	vm_settle(vm, j, save_settled, NULL);
}
