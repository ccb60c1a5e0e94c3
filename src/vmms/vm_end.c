// SPDX-License-Identifier: Apache-2.0
/* What follows when a worker is gone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "events.h"
#include "host/log.h"
#include "job.h"
#include "json_file.h"
#include "op_checkpoint.h"
#include "policy.h"
#include "saved_state.h"
#include "vm_worker.h"
#include "vmms.h"

static bool is_failure(const struct vm_end *end)
{
	return strcmp(end->how, "crash") == 0 || strcmp(end->how, "host-failure") == 0 ||
	       strcmp(end->how, "killed") == 0;
}

static void note_end(struct vm *vm, const struct vm_end *end)
{
	char now[CLOCK_TEXT_BYTES];
	json_t *o = json_pack("{s:s, s:s, s:s}", "how", end->how, "time",
			      clock_text(clock_now_us(), now), "message", end->message);

	if (o == NULL) { /* a message that names a file whose name is no UTF-8 */
		o = json_pack("{s:s, s:s, s:s}", "how", end->how, "time", now, "message", "");
	}
	json_decref(vm->ended);
	vm->ended = o;
	if (is_failure(end)) {
		log_line("%s ended: %s%s%s", vm_name(vm), end->how,
			 end->message[0] == '\0' ? "" : ": ", end->message);
	}
}

/* Off, or saved: by the save that it ended with, or as before when it did not come to run. */
static enum vm_state state_after(struct vm *vm, const struct vm_end *end)
{
	if (strcmp(end->how, "saved") == 0) {
		saved_state_complete(vm);
	} else {
		saved_state_settle(vm, end->ran);
	}
	saved_state_drop_unfinished(vm);
	return vm->has_saved ? VM_SAVED : VM_OFF;
}

static void tell_end(struct vm *vm, const struct vm_end *end)
{
	events_publish(vm->vmms, "vm.ended", vm, vm->job,
		       json_pack("{s:s, s:s}", "how", end->how, "message",
				 json_string_value(json_object_get(vm->ended, "message"))));
}

void vm_ended(struct vm *vm, const struct vm_end *end)
{
	bool failed = is_failure(end);
	void (*on_end)(struct vm * vm, const struct vm_end *end) = vm->on_end;

	vm->on_end = NULL;
	vm->on_event = NULL;
	loop_timer_set(vm->vmms->loop, &vm->timer, 0);
	note_end(vm, end);
	vm->wanted = vm->wanted && (failed || vm->vmms->stopping);
	enum vm_state after = state_after(vm, end);

	tell_end(vm, end);
	vm_set_state(vm, after);
	if (on_end != NULL) {
		on_end(vm, end);
	} else if (vm->job != NULL) {
		job_fail(vm->job, API_FAILED, NULL, "%s ended meanwhile: %s%s%s", vm_name(vm),
			 end->how, end->message[0] == '\0' ? "" : ": ", end->message);
	}
	if (vm->job == NULL) {
		checkpoint_recover(vm, NULL);
		op_tidy_later(vm);
	}
	policy_after_end(vm, failed);
}
