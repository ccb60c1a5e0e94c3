/* SPDX-License-Identifier: Apache-2.0 */
/* What the service does by itself: automatic start, stop and recovery. Loop thread. */
#ifndef VMMS_POLICY_H
#define VMMS_POLICY_H

#include <stdbool.h>

struct vm;
struct vmms;

/* The machine has started: starts those VMs that say so, in their order, each after its delay. */
void policy_start_all(struct vmms *v);
/* The machine goes down: does with each VM what it says, then calls @idle. */
void policy_stop_all(struct vmms *v, void (*idle)(void *ctx), void *ctx);
/* A worker is gone and its VM's state is set. @failed: by itself, and not as the guest wanted. */
void policy_after_end(struct vm *vm, bool failed);
/* Somebody does something with it: what was to be done automatically is not. */
void policy_forget_recovery(struct vm *vm);

#endif
