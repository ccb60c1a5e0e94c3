/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with checkpoints; as op.h: each ends its job, and the VM is in a state that vm_operation.c allows. Loop thread. */
#ifndef VMMS_OP_CHECKPOINT_H
#define VMMS_OP_CHECKPOINT_H

#include "job.h"
#include "vm.h"

enum checkpoint_kind {
	CHECKPOINT_STANDARD, /* as the VM is, with memory if it runs */
	CHECKPOINT_PRODUCTION, /* disks only, file systems frozen by the guest; standard if it cannot */
	CHECKPOINT_PRODUCTION_ONLY,
};

/* Makes one. @name: NULL for one made of the time. @then (may be NULL) instead of completing the job, when it is made. */
void op_checkpoint(struct vm *vm, struct job *j, const char *name, enum checkpoint_kind kind,
		   void (*then)(struct vm *vm, struct job *j));
/* Back to the state of @id; a VM that runs is turned off. It goes on at once if it ran before and the checkpoint has memory. */
void op_apply(struct vm *vm, struct job *j, const char *id);
/* Forgets @id, with @subtree also all that come from it. */
void op_forget(struct vm *vm, struct job *j, const char *id, bool subtree);

/*
 * Removes and merges files that nobody uses, one step after the other, then calls @then (which ends the job). Cancelling the job, and failures, leave the
 * rest for the next time; neither is an error of what was asked for.
 */
void op_tidy(struct vm *vm, struct job *j, void (*then)(struct vm *vm, struct job *j, void *ctx),
	     void *ctx);
/* The same for itself, as a job "merge", if there is anything to do and no operation goes on. */
void op_tidy_later(struct vm *vm);

/*
 * Finishes or undoes what a crash of the service or the end of a worker interrupted. For a VM without a worker; @answer: with one, what it answers to
 * "info".
 */
void checkpoint_recover(struct vm *vm, const char *answer);
/* The part of it that is a removal: op_forget.c. False: it could not be finished. */
bool checkpoint_recover_forget(struct vm *vm, const json_t *journal);
/* The same for a merge alone that has just failed or was cancelled. A VM that is active is looked at with its worker's next answer. */
void checkpoint_recover_merge(struct vm *vm);

#endif
