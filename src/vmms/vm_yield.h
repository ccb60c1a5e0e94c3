/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging files that no checkpoint uses makes way for what somebody asks for, whether the service does it by itself or somebody removed a checkpoint: that removal is
 * done then, and the rest of the merging goes on later. Loop thread.
 */
#ifndef VMMS_VM_YIELD_H
#define VMMS_VM_YIELD_H

#include "call.h"

/* For api_hooks: true when @c has to wait; then @go_on is called, unless its client leaves. */
bool vm_yield(struct call *c, const char *vm_id, void (*go_on)(struct call *c));

#endif
