/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_OP_CREATE_H
#define VMMS_OP_CREATE_H

struct call;

/*
 * Makes the VM that the call's body describes, and answers: 201, or 202 with a job when disks have to be made ("create_bytes", "parent" of a
 * disk). Nothing of it is there until all of it is.
 */
void op_create(struct call *c);

#endif
