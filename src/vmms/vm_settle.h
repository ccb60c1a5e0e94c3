/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before something is done with a VM's disks or state: what a service that was killed had asked its worker for ends, and is recorded. Loop
 * thread.
 */
#ifndef VMMS_VM_SETTLE_H
#define VMMS_VM_SETTLE_H

#include "job.h"
#include "vm.h"

/*
 * Calls @then when nothing of that kind goes on and the records agree with the worker: at once for a VM without one. @vm->job is @j, which ends when the worker goes
 * first; @gone (may be NULL) is called before that, for vm->op. vm->on_end is this one's meanwhile. While @then is called vm->info is the worker's answer.
 */
void vm_settle(struct vm *vm, struct job *j, void (*then)(struct vm *vm, struct job *j),
	       void (*gone)(struct vm *vm));
/* Has the worker nothing to do that nobody waits for, by its answer to "info"? */
bool vm_is_settled(const char *answer);

/*
 * Does the worker write the file @path (absolute), by its answer to "info"? *ret_place (of @ret_bytes) is where, such as "scsi0:1" in its
 * line "disk=scsi0:1:PATH".
 */
bool vm_info_writes(const char *answer, const char *path, const char **ret_place,
		    size_t *ret_bytes);

#endif
