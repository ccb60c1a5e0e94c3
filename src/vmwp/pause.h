/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that stands still between two instructions: no VP in dispatch, partition time frozen, devices done with what they took and
 * quiet. A machine begins like that and is made to run. Loop thread.
 */
#ifndef VMWP_PAUSE_H
#define VMWP_PAUSE_H

struct worker;

/* Waits for VPs and devices; NULL. One that stands still already: nothing. Else why it cannot be brought to a stand now; then it runs on. */
const char *machine_pause(struct worker *w);
/* 0, or a failure of the hypervisor. */
int machine_resume(struct worker *w);

/* Only VPs and time, and again. */
void machine_stop(struct worker *w);
int machine_go(struct worker *w);

#endif
