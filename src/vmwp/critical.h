/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the host has no space for what the guest writes, or its storage goes away: the machine stands still (its time too, so that no driver gives up), its requests
 * are tried again, and it goes on by itself when they are done (Hyper-V: paused-critical).
 */
#ifndef VMWP_CRITICAL_H
#define VMWP_CRITICAL_H

#include <stdbool.h>

struct worker;

/* Listens to the disks. Before the first machine. */
void critical_listen(struct worker *w);
/* Loop thread, when woken. */
void critical_poll(struct worker *w);

#endif
