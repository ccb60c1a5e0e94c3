/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of a VM: saved.vmrs in its folder, or the checkpoint's that vm.json names as "restore_from". A state is used up when the guest has run
 * from it: from then on its disks have changed, and the state must never be used again, whatever crashes. vm->has_saved says whether there is one.
 */
#ifndef VMMS_SAVED_STATE_H
#define VMMS_SAVED_STATE_H

#include "vm.h"

/* Looks for one. */
void saved_state_look(struct vm *vm);
/* The path of the one to go on from. False: there is none. */
bool saved_state_path(const struct vm *vm, char ret[VM_PATH_BYTES]);
/*
 * A worker is about to be started from it: durably it is called restoring.vmrs from now on, until saved_state_used, or saved_state_settle finds that the guest
 * did not come to run. *ret: its path. 0 or -errno: then it is as before.
 */
int saved_state_begin(struct vm *vm, char ret[VM_PATH_BYTES]);
/* A worker was, or was about to be, started from it. */
bool saved_state_is_taken(const struct vm *vm);
/* No worker is there (any more). @ran: the guest ran, or nobody can know: what it was restored from is used up; else it is the saved state again. */
void saved_state_settle(struct vm *vm, bool ran);
/* An empty file that a new one is written to; a descriptor or -errno. */
int saved_state_create(const struct vm *vm);
/* What was written is complete: it is the saved state now. */
void saved_state_complete(struct vm *vm);
/* What was written is not complete. */
void saved_state_drop_unfinished(struct vm *vm);
/* It is used up, or nobody wants it. 0 or -errno. */
int saved_state_used(struct vm *vm);

#endif
