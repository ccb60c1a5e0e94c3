/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest says about itself through its integration components. Loop thread. */
#ifndef VMMS_VM_GUEST_H
#define VMMS_VM_GUEST_H

struct vm;

/* Asks the worker anew: heartbeat, and the guest's key-value pairs (vm->guest, vm->addresses). */
void vm_guest_ask(struct vm *vm);
/* The worker's answer to "kvp". */
void vm_guest_take(struct vm *vm, const char *answer);
/* There is no worker any more. */
void vm_guest_forget(struct vm *vm);
/* "ok", "lost" or "none" as the worker writes it. */
void vm_guest_set_heartbeat(struct vm *vm, const char *text);

#endif
