/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a merge that nobody saw the end of, what the files say about their parents counts, not what vm.json says ("checkpoints.verify"). A file that is written by
 * a worker is asked about through the worker. Loop thread.
 */
#ifndef VMMS_CHECKPOINT_LOOK_H
#define VMMS_CHECKPOINT_LOOK_H

#include "vm.h"

bool checkpoint_look_wanted(const struct vm *vm);
/* From the next look on; durable. */
void checkpoint_look_want(struct vm *vm);
/* Looks at all files on a thread and corrects vm.json; then @then. Of an active VM only while vm_settle calls. */
void checkpoint_look(struct vm *vm, void (*then)(void *ctx), void *ctx);

#endif
