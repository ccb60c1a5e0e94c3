/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_OP_REMOVE_H
#define VMMS_OP_REMOVE_H

#include <stdbool.h>

struct call;
struct vm;

/* Removes the VM, and answers with a job; its result names the disks of its folder that stay. */
void op_remove(struct call *c, struct vm *vm, bool with_disks);

#endif
