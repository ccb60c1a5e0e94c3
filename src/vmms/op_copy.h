/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of VMs: each answers its call, with a job when it takes time. Loop thread. */
#ifndef VMMS_OP_COPY_H
#define VMMS_OP_COPY_H

#include <jansson.h>

struct call;
struct vm;

/* {"path": folder}: the VM, in a folder of its name there, with everything that it needs of disks. */
void op_export(struct call *c, struct vm *vm);
/* {"path": folder, "disks": "merged" or "chain"}: the checkpoint with @record, in a folder of its name there, as a VM of its own. */
void op_export_checkpoint(struct call *c, struct vm *vm, const json_t *record);
/* {"path": folder of a VM, "mode": "copy" or "register", "new_id": bool} */
void op_import(struct call *c);
/* {"name": of the new one}: a VM on differencing disks; what was the VM's own stays as it is below both. */
void op_clone(struct call *c, struct vm *vm);

#endif
