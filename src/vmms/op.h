/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with a VM. Each takes the job that was made for it (job_create with the VM) and ends it, sooner or later; the VM must be in a state that
 * vm_operation.c allows. Loop thread.
 */
#ifndef VMMS_OP_H
#define VMMS_OP_H

#include <stdbool.h>

#include "job.h"
#include "vm.h"

/* From off, or from its saved state. */
void op_start(struct vm *vm, struct job *j);
/* Without asking the guest. */
void op_stop(struct vm *vm, struct job *j);
/* The part of it that is another operation's beginning: @on_end when the worker is gone. */
void op_turn_off(struct vm *vm, struct job *j,
		 void (*on_end)(struct vm *vm, const struct vm_end *end));
/* The same while another operation goes on, which ends with it; the new job is not the VM's. */
struct job *op_stop_beside(struct vm *vm, const char *who);
/* Asks the guest; the job fails after @timeout_s. */
struct op_shutdown {
	bool reboot;
	bool force; /* programs in the guest are not asked */
	unsigned timeout_s;
};
void op_shutdown(struct vm *vm, struct job *j, const struct op_shutdown *how);
void op_save(struct vm *vm, struct job *j);
void op_pause(struct vm *vm, struct job *j);
void op_resume(struct vm *vm, struct job *j);
void op_reset(struct vm *vm, struct job *j);
void op_remove_saved_state(struct vm *vm, struct job *j);

/* Of an operation whose VM did not end as it had to: the job fails with how it did. */
void op_fail_ended(struct job *j, const struct vm *vm, const char *what, const struct vm_end *end);

#endif
