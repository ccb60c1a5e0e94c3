/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that stands still between two instructions: no VP in dispatch, partition time frozen, devices done with what they took and
 * quiet. A machine begins like that and is made to run. Loop thread.
 */
#ifndef VMWP_PAUSE_H
#define VMWP_PAUSE_H

struct worker;

/* Waits for VPs and devices. One that stands still already: nothing. */
void machine_pause(struct worker *w);
/* 0, or a failure of the hypervisor. */
int machine_resume(struct worker *w);

#endif
