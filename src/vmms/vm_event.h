/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_VM_EVENT_H
#define VMMS_VM_EVENT_H

/* An event of a VM's worker (link_watch with the VM as @ctx). */
void vm_event(void *ctx, const char *name, const char *text);

#endif
