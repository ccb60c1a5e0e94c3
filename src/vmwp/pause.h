/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that stands still between two instructions: no VP in dispatch, partition time frozen, devices done with what they took and
 * quiet. A machine begins like that and is made to run. Loop thread.
 */
#ifndef VMWP_PAUSE_H
#define VMWP_PAUSE_H

#include <stdbool.h>

struct worker;

/* Waits for VPs and devices. One that stands still already: nothing. False: requests are held by a disk in trouble, and the machine runs on. */
bool machine_pause(struct worker *w);
/* 0, or a failure of the hypervisor. */
int machine_resume(struct worker *w);

/* Why machine_pause fails, for people. */
#define PAUSE_REFUSED                                                                              \
	"requests of a disk wait for space or storage of the host: they have to be done first"

/* Only VPs and time, and again. */
void machine_stop(struct worker *w);
int machine_go(struct worker *w);

#endif
