/* SPDX-License-Identifier: Apache-2.0 */
/* The worker of a VM: watching it, hearing how it ended, ending it. Loop thread. */
#ifndef VMMS_VM_WORKER_H
#define VMMS_VM_WORKER_H

#include "machine.h"
#include "vm.h"

/* A worker that was started, or found again (@process.launcher -1: it is given a new one). Its descriptors are taken over. */
void vm_worker_attach(struct vm *vm, const struct machine_process *process);
/* Lets go of it without ending it: the service ends. */
void vm_worker_detach(struct vm *vm);
/* Kills it, now; its end is heard of as any other. */
void vm_worker_kill(struct vm *vm);
/* Before a start, with no worker there: what the last one left is not taken for the new one's. */
void vm_worker_clear_end(const struct vm *vm);
/* How the worker that is gone has ended, from its end file; @status: of waitid, -1: it was no child of ours. */
void vm_worker_read_end(const struct vm *vm, int status, struct vm_end *ret);
/* The worker of @vm is gone, this is how: state, saved state, the operation, recovery. */
void vm_ended(struct vm *vm, const struct vm_end *end);

#endif
