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
/* An empty file that a new one is written to; a descriptor or -errno. */
int saved_state_create(const struct vm *vm);
/* What was written is complete: it is the saved state now. */
void saved_state_complete(struct vm *vm);
/* What was written is not complete. */
void saved_state_drop_unfinished(struct vm *vm);
/* It is used up, or nobody wants it. 0 or -errno. */
int saved_state_used(struct vm *vm);

#endif
